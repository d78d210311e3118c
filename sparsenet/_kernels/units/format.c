/* The kernels of one number format (-DSN_FORMAT=<name>) for one instruction set (-DSN_ISA=<name>). Everything but the
 * table is static: no function is shared between targets. */
#include "units/target.h"
#if ISA_COMPILED
#include "vector/vector.h"
#if ISA_AMX
#include "vector/amx.h"
#endif
#include "layouts/blocks.h"
#include "layouts/columns.h"
/* Formatted, the name would have spaces. */
/* clang-format off */
#include STRING(formats/SN_FORMAT.h)
/* clang-format on */
#include "formats/contract.h"
#include "products/registers.h"
#include "products/sddmm_dense.h"
#if STRIPS
#include FORMAT_TILES
#include "products/amx.h"
#include "products/amx_spmm.h"
#include "products/amx_sddmm.h"
#endif
#if WINDOWS
#include "products/windows.h"
#endif
#include "products/spmv.h"
#include "products/spmm.h"
#if COLUMNS_AT_ONCE
#include "products/sddmm_blocks.h"
#endif
#include "products/sddmm.h"
#include "layouts/weight_copies.h"
#include FORMAT_STORAGE
#include "products/sddmm_panel.h"
#include "products/row_sums.h"

extern const sn_format_kernels PASTE(sn_, SN_ISA, PASTE(_, SN_FORMAT, ));
const sn_format_kernels PASTE(sn_, SN_ISA, PASTE(_, SN_FORMAT, )) = {
    .activation_size = sizeof(STORE),
    .delta_size = sizeof(delta_t),
    .operand_size = sizeof(operand_t),
    .weight_size = sizeof(weight_t),
    .weight_group = GROUP,
    .tile_columns = TILE_COLUMNS,
    .turned_size = TURNED_SIZE,
    .term_size = sizeof(wide_t),
    .row_size = sizeof(row_t),
    .signed_offset = SIGNED_OFFSET,
    .spmm = spmm,
    .spmv = spmv,
#if WINDOWS
    .window_rows = WIDTH,
    .cut_windows = cut_windows,
#endif
#if STRIPS || (TILED && !STORES_MASTER)
    .tile_samples = tile_samples,
#endif
    .first_lane = first_lane,
    .turn = turn,
    .sddmm = sddmm,
    .sddmm_panel = sddmm_panel,
#if STRIPS
    .sddmm_strips = sddmm_strips,
    .strip_percent = {strip_percent_rows, strip_percent_blocks},
    .spmm_strip_percent = {spmm_percent_rows, spmm_percent_blocks, spmm_percent_columns},
#endif
    .encode = encode,
    .encode_sample = encode_sample,
    .decode = decode,
    .encode_deltas = encode_deltas,
    .prepare = prepare,
    .encode_weights = encode_weights,
    .write_weights = write_weights,
    .read_weights = read_weights,
    .encode_terms = encode_terms,
    .encode_row = encode_row,
    .sum_rows = sum_rows,
    .sum_sparse_rows = sum_sparse_rows,
    .sum_at_connections = sum_at_connections,
};
#include "units/target_end.h"
#endif
