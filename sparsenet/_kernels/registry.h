/* What there is of each kind, declared once: number formats, activations, losses, solvers and instruction sets, by name
 * and with what sets them apart. Enumerators, the tables of kernels, Cython, Python's lists of names and the tests'
 * parameters all come from these lists; CONTRIBUTING.md says what else a new entry needs. */
#ifndef SPARSENET_REGISTRY_H
#define SPARSENET_REGISTRY_H

/* Number formats: formats/<name>.h each. */
typedef struct {
    const char *name;
    double largest;            /* weight or activation */
    int has_scales;            /* integers times a scale for each row or sample */
    int is_own_storage;        /* fp32 sums are what is stored: nothing is rounded */
    int stores_rows_at_once;   /* rows of activations are stored as they come: no scale waits for the whole panel */
    int stores_deltas_at_once; /* so are rows of deltas */
} sn_format;
#define SN_FORMATS(X)                                                                                             \
    X(FLOAT32, float32, .largest = 3.4028234663852886e38, .is_own_storage = 1)                                    \
    X(FLOAT16, float16, .largest = 65504, .stores_rows_at_once = 1)                                               \
    X(BFLOAT16, bfloat16, .largest = 3.4028234663852886e38, .stores_rows_at_once = 1, .stores_deltas_at_once = 1) \
    X(INT8, int8, .largest = 3.4028234663852886e38, .has_scales = 1)

/* Activation functions of hidden layers: apply_<name> in elementwise/activations.h, and chain_<name> where the
 * derivative is a function of the activation, else derivative_<name>, which training keeps beside the activations. */
typedef struct {
    const char *name;
    int is_signed; /* may be negative */
    int keeps_derivative;
} sn_activation;
#define SN_ACTIVATIONS_BY_OUTPUT(X)           \
    X(IDENTITY, identity, .is_signed = 1)     \
    X(LOGISTIC, logistic, .is_signed = 0)     \
    X(TANH, tanh, .is_signed = 1)             \
    X(RELU, relu, .is_signed = 0)             \
    X(LEAKY_RELU, leaky_relu, .is_signed = 1) \
    X(ELU, elu, .is_signed = 1)               \
    X(SELU, selu, .is_signed = 1)
#define SN_ACTIVATIONS_BY_INPUT(X)                       \
    X(SILU, silu, .is_signed = 1, .keeps_derivative = 1) \
    X(GELU, gelu, .is_signed = 1, .keeps_derivative = 1) \
    X(MISH, mish, .is_signed = 1, .keeps_derivative = 1)
#define SN_ACTIVATIONS(X) SN_ACTIVATIONS_BY_OUTPUT(X) SN_ACTIVATIONS_BY_INPUT(X)

/* Losses, with the activation of the output layer that belongs to each: in elementwise/losses.h output_<name>,
 * loss_<name> and delta_<name>, or <name>_of_codes where a target is a class code. */
typedef struct {
    const char *name;
    const char *out_activation;
    int is_of_codes;        /* a target is a class code, not a number for each output */
    int is_mean;            /* over the outputs, not their sum */
    const char *classifier; /* what the classifier's `loss` calls it; NULL: it is the regressor's, under its name */
    const char *parameter;  /* the estimator's that shapes the loss, a value for each output; NULL: there is none */
} sn_loss;
#define SN_LOSSES_OF_CODES(X)                                                                             \
    X(SOFTMAX, softmax, .out_activation = "softmax", .is_of_codes = 1, .classifier = "log_loss",          \
      .parameter = "label_smoothing")                                                                     \
    X(FOCAL_SOFTMAX, focal_softmax, .out_activation = "softmax", .is_of_codes = 1, .classifier = "focal", \
      .parameter = "focal_gamma")
#define SN_LOSSES_OF_NUMBERS(X)                                                                                        \
    X(LOGISTIC, logistic, .out_activation = "logistic", .classifier = "log_loss", .parameter = "label_smoothing")      \
    X(FOCAL_LOGISTIC, focal_logistic, .out_activation = "logistic", .classifier = "focal", .parameter = "focal_gamma") \
    X(SQUARED_ERROR, squared_error, .out_activation = "identity", .is_mean = 1)                                        \
    X(POISSON, poisson, .out_activation = "exp", .is_mean = 1)                                                         \
    X(GAMMA, gamma, .out_activation = "exp", .is_mean = 1)                                                             \
    X(ABSOLUTE_ERROR, absolute_error, .out_activation = "identity", .is_mean = 1)                                      \
    X(HUBER, huber, .out_activation = "identity", .is_mean = 1, .parameter = "huber_delta")                            \
    X(QUANTILE, quantile, .out_activation = "identity", .is_mean = 1, .parameter = "quantile")
#define SN_LOSSES(X) SN_LOSSES_OF_CODES(X) SN_LOSSES_OF_NUMBERS(X)

/* Solvers: elementwise/optimizer.h. */
typedef struct {
    const char *name;
    int n_moments; /* of each parameter */
    int is_adam;
} sn_solver;
#define SN_SOLVERS(X)                           \
    X(ADAM, adam, .n_moments = 2, .is_adam = 1) \
    X(SGD, sgd, .n_moments = 1)                 \
    X(ADAMW, adamw, .n_moments = 2, .is_adam = 1)

/* Instruction sets, each better than those before: isa/<name>.h each, and is_<name> in isa/dispatch.c. Those of 2021 and
 * later, and NEON's dot products, need a compiler that knows them, and AMX an operating system that is asked for its registers. */
#if defined(__x86_64__) && defined(__linux__) && (defined(__clang__) ? __clang_major__ >= 12 : __GNUC__ >= 11)
#define SN_AMX(X) X(amx)
#else
#define SN_AMX(X)
#endif
#if defined(__x86_64__) && (defined(__clang__) ? __clang_major__ >= 12 : __GNUC__ >= 11)
#define SN_AVX_VNNI(X) X(avx_vnni)
#else
#define SN_AVX_VNNI(X)
#endif
#if defined(__aarch64__) && (!defined(__clang__) || __clang_major__ >= 16 || defined(__ARM_FEATURE_DOTPROD))
#define SN_NEON_DOT(X) X(neon_dot)
#else
#define SN_NEON_DOT(X)
#endif
#if defined(__x86_64__)
#define SN_ISAS(X) X(portable) X(avx2) SN_AVX_VNNI(X) X(avx512) X(avx512_vnni) X(avx512_bf16) SN_AMX(X)
#elif defined(__aarch64__)
#define SN_ISAS(X) X(portable) X(neon) SN_NEON_DOT(X)
#else
#define SN_ISAS(X) X(portable)
#endif

#define SN_ENUMERATOR(NAME, name, ...) SN_##NAME,
enum { SN_FORMATS(SN_ENUMERATOR) SN_N_FORMATS };
enum { SN_ACTIVATIONS(SN_ENUMERATOR) SN_N_ACTIVATIONS };
enum { SN_SOLVERS(SN_ENUMERATOR) SN_N_SOLVERS };
#undef SN_ENUMERATOR
#define SN_ENUMERATOR(NAME, name, ...) SN_LOSS_##NAME,
enum { SN_LOSSES(SN_ENUMERATOR) SN_N_LOSSES };
#undef SN_ENUMERATOR

#define SN_TABLE __attribute__((unused)) static const
#define SN_ENTRY(NAME, id, ...) {.name = #id, __VA_ARGS__},
SN_TABLE sn_format sn_formats[] = {SN_FORMATS(SN_ENTRY)};
SN_TABLE sn_activation sn_activations[] = {SN_ACTIVATIONS(SN_ENTRY)};
SN_TABLE sn_loss sn_losses[] = {SN_LOSSES(SN_ENTRY)};
SN_TABLE sn_solver sn_solvers[] = {SN_SOLVERS(SN_ENTRY)};
#undef SN_ENTRY
#undef SN_TABLE

#endif
