/* Forget the current format. */
#undef FORMAT
#undef STORE
#undef GROUP
#undef EXTRA
#undef DOT_LANES
#undef DELTA_EXPONENT
