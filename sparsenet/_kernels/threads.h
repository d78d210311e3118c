/* How many threads can be started. OpenMP libraries end the process where they cannot start one of a team. */
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

/* The calling thread and those that can be started beside it, at most n; the C library keeps their stacks for the team
 * that comes next. Takes 15 to 40 microseconds for each thread (2-core EPYC, 2 to 16 threads). */
static int sn_startable_threads(int n)
{
    pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
    pthread_t *threads = n > 1 ? malloc((n - 1) * sizeof *threads) : NULL;
    int started = 0;
    if (threads == NULL) return 1;
    pthread_mutex_lock(&gate); /* all at once, as a team is */
    while (started < n - 1 && pthread_create(&threads[started], NULL, sn_wait, &gate) == 0) started++;
    pthread_mutex_unlock(&gate);
    for (int i = 0; i < started; i++) pthread_join(threads[i], NULL);
    free(threads);
    return started + 1;
}
#else
static int sn_startable_threads(int n) { return n; }
#endif

#endif
