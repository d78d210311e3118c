/* Forget the current format. */
#undef FORMAT
#undef STORE
#undef GROUP
#undef TILED
#undef STORES_MASTER
#undef STRIPS
#undef STRIP_PARTS
#undef DOT_WEIGHTS
#undef DOT_SAMPLES
#undef DOT_LANES
#undef PARTS
#undef PART_LANES
#undef LANE_SAMPLES
#undef SPLIT_LANES
#undef DELTA_EXPONENT
