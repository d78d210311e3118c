/* The kernels of one instruction set (-DSN_ISA=<name>) that work on fp32 values, and its table. */
#include "units/target.h"
#if ISA_COMPILED
#include "vector/vector.h"
#include "vector/thread_state.h"
#include "elementwise/elementary.h"
#include "elementwise/activations.h"
#include "elementwise/dropout.h"
#include "elementwise/losses.h"
#include "elementwise/optimizer.h"
#include "elementwise/lazy_update.h"
#include "elementwise/pack.h"

#define DECLARE(NAME, name, ...) extern const sn_format_kernels PASTE(sn_, SN_ISA, _##name);
SN_FORMATS(DECLARE)

extern const sn_kernels PASTE(sn_kernels_, SN_ISA, );
const sn_kernels PASTE(sn_kernels_, SN_ISA, ) = {
    .name = STRING(SN_ISA),
#define FORMAT(NAME, name, ...) [SN_##NAME] = &PASTE(sn_, SN_ISA, _##name),
    .format = {SN_FORMATS(FORMAT)},
    .enter = enter,
    .leave = leave,
    .pack = pack,
    .activate = activate,
    .activate_sample = activate_sample,
    .chain = chain,
    .output = output,
    .rate = rate,
    .loss = loss,
    .deltas = deltas,
    .drop = drop,
    .sum_of_squares = sum_of_squares,
    .update = update,
    .advance = advance,
};
#include "units/target_end.h"
#endif
