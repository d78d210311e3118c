/* The values of one sample side by side, as one_lane_body.h reads them. */
static void F(first_lane)(const void *x, int64_t n, int offset, void *lane)
{
    for (int64_t k = 0; k < n; k++) ((F(lane) *)lane)[k] = F(lane_value)((const STORE *)x + k * SN_LANES, offset);
}
