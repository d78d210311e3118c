/* Forget the current format. */
#undef FORMAT
#undef STORE
#undef GROUP
#undef TILED
#undef DOT_LANES
#undef DELTA_EXPONENT
