/* How many threads can be started, and that processes may be forked between two calls. */
#ifndef SPARSENET_THREADS_H
#define SPARSENET_THREADS_H

#if defined(_OPENMP) && (defined(__unix__) || defined(__APPLE__))
#include <pthread.h>
#include <stdlib.h>

static void *sn_wait(void *gate)
{
    pthread_mutex_lock((pthread_mutex_t *)gate);
    pthread_mutex_unlock((pthread_mutex_t *)gate);
    return NULL;
}

/* OMP_STACKSIZE, in bytes: a number with B, K (if there is none), M or G behind it. 0: the system's own size. */
static size_t sn_stack_size(void)
{
    const char *text = getenv("OMP_STACKSIZE");
    char *unit = NULL;
    const size_t number = text ? strtoul(text, &unit, 10) : 0;
    while (unit && *unit == ' ') unit++;
    switch (unit ? *unit | 32 : 0) {
    case 'b': return number;
    case 'm': return number << 20;
    case 'g': return number << 30;
    }
    return number << 10;
}

/* The calling thread and those that can be started beside it, at most n: OpenMP libraries end the process where they
 * cannot start one of a team. Where not all can, half of those are left out, so that the others have room to work. The C
 * library keeps their stacks for the team that comes next. Takes 15 to 40 microseconds for each thread (2-core EPYC, 2
 * to 16 threads). */
static int sn_startable_threads(int n)
{
    pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
    pthread_t *threads = n > 1 ? malloc((n - 1) * sizeof *threads) : NULL;
    pthread_attr_t attributes;
    int started = 0;
    if (threads == NULL) return 1;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, sn_stack_size()); /* fails, and changes nothing, if it is too small */
    pthread_mutex_lock(&gate);                               /* all at once, as a team is */
    while (started < n - 1 && pthread_create(&threads[started], &attributes, sn_wait, &gate) == 0) started++;
    pthread_mutex_unlock(&gate);
    for (int i = 0; i < started; i++) pthread_join(threads[i], NULL);
    pthread_attr_destroy(&attributes);
    free(threads);
    return 1 + (started < n - 1 ? started / 2 : started);
}

/* A child of fork() has one thread, and would wait for the rest of the team for ever. So the forking thread's team ends
 * before; the next parallel region starts another, in either process. */
#if __GNUC__ >= 9 || defined(__clang__) /* whose _OPENMP does not tell whether they have it */
#include <omp.h>
static void sn_end_team(void) { omp_pause_resource_all(omp_pause_soft); }
static void sn_prepare_forks(void) { pthread_atfork(sn_end_team, NULL, NULL); }
#else
static void sn_prepare_forks(void) {}
#endif
#else
static int sn_startable_threads(int n) { return n; }
static void sn_prepare_forks(void) {}
#endif

#endif
