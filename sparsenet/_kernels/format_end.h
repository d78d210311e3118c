/* Forget the current format. */
#undef FORMAT
#undef STORE
#undef GROUP
#undef EXTRA
#undef TILED
#undef DOT_LANES
#undef DELTA_EXPONENT
