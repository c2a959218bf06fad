"""The two kernels of the CUDA path: a tile's sums, and a tile's weights. Importing this module imports Triton.

Both multiply a tile of similarities and finish it in registers, so that logits never reach memory. Which of the two
ways of ``chunked`` a tile goes, one fixed shift or maxima, follows from a bound on all logits that lies on the device:
the host never waits for it.

Checked in Triton's interpreter (TRITON_INTERPRET=1, Triton 3.9, on a CPU) against a dense float64 reference, in float32
and float16; the interpreter cannot multiply bfloat16. Compiled, for compute capability 9.0 and all three types, to
tensor-core instructions in half precision. Not yet run on a GPU: the tile sizes are a first choice, not a measured one.

Offsets are 32-bit: a launch covers one panel, never the whole matrix.

Shapes: A anchors, K keys, D width, M × N a tile.
"""

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit
def _tile_place(anchors, keys, BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr, GROUP: tl.constexpr):  # type: ignore[no-untyped-def]
    """Which tile this program computes; neighbours in time share keys in the second-level cache."""
    program = tl.program_id(0)
    tiles_m, tiles_n = tl.cdiv(anchors, BLOCK_M), tl.cdiv(keys, BLOCK_N)
    in_group = GROUP * tiles_n
    first = program // in_group * GROUP
    high = tl.minimum(tiles_m - first, GROUP)
    within = program % in_group
    return first + within % high, within // high


@triton.jit
def _tile_logits(  # type: ignore[no-untyped-def]
    anchor_ptr,
    key_ptr,
    anchor_group_ptr,
    key_group_ptr,
    factor,
    rows_M,
    columns_N,
    anchors,
    keys,
    WIDTH: tl.constexpr,
    EXCLUDE: tl.constexpr,
    BLOCK_M: tl.constexpr,
    BLOCK_N: tl.constexpr,
    BLOCK_D: tl.constexpr,
):
    """The tile's logits to base 2, −∞ outside the matrix and at excluded pairs."""
    in_rows_M, in_columns_N = rows_M < anchors, columns_N < keys
    row_start_M, column_start_N = rows_M * WIDTH, columns_N * WIDTH
    similarity_MN = tl.zeros((BLOCK_M, BLOCK_N), dtype=tl.float32)
    for start in range(0, WIDTH, BLOCK_D):
        d = start + tl.arange(0, BLOCK_D)
        in_width = d < WIDTH
        anchor_MD = tl.load(
            anchor_ptr + row_start_M[:, None] + d[None, :],
            mask=in_rows_M[:, None] & in_width[None, :],
            other=0.0,
        )
        key_ND = tl.load(
            key_ptr + column_start_N[:, None] + d[None, :],
            mask=in_columns_N[:, None] & in_width[None, :],
            other=0.0,
        )
        similarity_MN = tl.dot(anchor_MD, tl.trans(key_ND), similarity_MN, input_precision="ieee")
    inside_MN = in_rows_M[:, None] & in_columns_N[None, :]
    if EXCLUDE:
        anchor_group_M = tl.load(anchor_group_ptr + rows_M, mask=in_rows_M, other=0)
        key_group_N = tl.load(key_group_ptr + columns_N, mask=in_columns_N, other=0)
        inside_MN = inside_MN & (anchor_group_M[:, None] != key_group_N[None, :])
    return tl.where(inside_MN, similarity_MN * factor, float("-inf"))


@triton.jit
def _log2_sum(logits_MN, AXIS: tl.constexpr):  # type: ignore[no-untyped-def]
    """log₂ Σ 2^x along an axis, relative to the maximum; −∞ where there is nothing."""
    top = tl.max(logits_MN, axis=AXIS)
    top = tl.where(top == float("-inf"), 0.0, top)
    return tl.log2(tl.sum(tl.exp2(logits_MN - tl.expand_dims(top, AXIS)), axis=AXIS)) + top


@triton.jit
def sums_kernel(  # type: ignore[no-untyped-def]
    anchor_ptr,
    key_ptr,
    anchor_group_ptr,
    key_group_ptr,
    bound_ptr,
    row_part_ptr,
    column_part_ptr,
    anchors,
    keys,
    WIDTH: tl.constexpr,
    BOTH: tl.constexpr,
    EXCLUDE: tl.constexpr,
    BLOCK_M: tl.constexpr,
    BLOCK_N: tl.constexpr,
    BLOCK_D: tl.constexpr,
    GROUP: tl.constexpr,
):
    """Writes log₂ of each tile's sums: over its keys to (tiles_n, A), over its anchors to (tiles_m, K).

    ``bound_ptr``: the factor of the similarities, the shift, and 1 where the shift is safe, 0 where it is
    not.
    """
    m, n = _tile_place(anchors, keys, BLOCK_M, BLOCK_N, GROUP)
    rows_M, columns_N = m * BLOCK_M + tl.arange(0, BLOCK_M), n * BLOCK_N + tl.arange(0, BLOCK_N)
    factor, shift, safe = tl.load(bound_ptr), tl.load(bound_ptr + 1), tl.load(bound_ptr + 2)
    logits_MN = _tile_logits(
        anchor_ptr,
        key_ptr,
        anchor_group_ptr,
        key_group_ptr,
        factor,
        rows_M,
        columns_N,
        anchors,
        keys,
        WIDTH,
        EXCLUDE,
        BLOCK_M,
        BLOCK_N,
        BLOCK_D,
    )
    row_ptr_M = row_part_ptr + n * anchors + rows_M
    column_ptr_N = column_part_ptr + m * keys + columns_N
    if safe > 0.5:
        power_MN = tl.exp2(logits_MN - shift)
        tl.store(row_ptr_M, tl.log2(tl.sum(power_MN, axis=1)) + shift, mask=rows_M < anchors)
        if BOTH:
            tl.store(column_ptr_N, tl.log2(tl.sum(power_MN, axis=0)) + shift, mask=columns_N < keys)
    else:
        tl.store(row_ptr_M, _log2_sum(logits_MN, 1), mask=rows_M < anchors)
        if BOTH:
            tl.store(column_ptr_N, _log2_sum(logits_MN, 0), mask=columns_N < keys)


@triton.jit
def weights_kernel(  # type: ignore[no-untyped-def]
    anchor_ptr,
    key_ptr,
    anchor_group_ptr,
    key_group_ptr,
    bound_ptr,
    row_sum_ptr,
    row_gradient_ptr,
    column_sum_ptr,
    column_gradient_ptr,
    weight_ptr,
    anchors,
    keys,
    WIDTH: tl.constexpr,
    BOTH: tl.constexpr,
    EXCLUDE: tl.constexpr,
    BLOCK_M: tl.constexpr,
    BLOCK_N: tl.constexpr,
    BLOCK_D: tl.constexpr,
    GROUP: tl.constexpr,
):
    """Writes the gradient with respect to natural logits, (A, K), in the type of the output.

    Sums are logarithms to base 2, with +∞ in place of the −∞ of an empty one.
    """
    m, n = _tile_place(anchors, keys, BLOCK_M, BLOCK_N, GROUP)
    rows_M, columns_N = m * BLOCK_M + tl.arange(0, BLOCK_M), n * BLOCK_N + tl.arange(0, BLOCK_N)
    in_rows_M, in_columns_N = rows_M < anchors, columns_N < keys
    factor, shift, safe = tl.load(bound_ptr), tl.load(bound_ptr + 1), tl.load(bound_ptr + 2)
    logits_MN = _tile_logits(
        anchor_ptr,
        key_ptr,
        anchor_group_ptr,
        key_group_ptr,
        factor,
        rows_M,
        columns_N,
        anchors,
        keys,
        WIDTH,
        EXCLUDE,
        BLOCK_M,
        BLOCK_N,
        BLOCK_D,
    )
    weight_ptr_MN = weight_ptr + rows_M[:, None] * keys + columns_N[None, :]
    inside_MN = in_rows_M[:, None] & in_columns_N[None, :]
    row_sum_M = tl.load(row_sum_ptr + rows_M, mask=in_rows_M, other=float("inf"))
    row_gradient_M = tl.load(row_gradient_ptr + rows_M, mask=in_rows_M, other=0.0)
    if BOTH:
        column_sum_N = tl.load(column_sum_ptr + columns_N, mask=in_columns_N, other=float("inf"))
        column_gradient_N = tl.load(column_gradient_ptr + columns_N, mask=in_columns_N, other=0.0)
    if safe > 0.5:
        each_MN = (row_gradient_M * tl.exp2(shift - row_sum_M))[:, None]
        if BOTH:
            each_MN = each_MN + (column_gradient_N * tl.exp2(shift - column_sum_N))[None, :]
        weight_MN = tl.exp2(logits_MN - shift) * each_MN
        tl.store(weight_ptr_MN, weight_MN.to(weight_ptr.dtype.element_ty), mask=inside_MN)
    else:
        weight_MN = tl.exp2(logits_MN - row_sum_M[:, None]) * row_gradient_M[:, None]
        if BOTH:
            share_MN = tl.exp2(logits_MN - column_sum_N[None, :])
            weight_MN = weight_MN + share_MN * column_gradient_N[None, :]
        tl.store(weight_ptr_MN, weight_MN.to(weight_ptr.dtype.element_ty), mask=inside_MN)
