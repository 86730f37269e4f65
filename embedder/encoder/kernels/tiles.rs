//! Linear layers for kernels with hand-written byte dot products. Computes tiles of a few rows by a few outputs.

use std::borrow::Cow;
use std::ops::Range;

use super::portable::{Instructions, dequantize};
use super::{Activation, Affine, Quantized, RowsMut, check_sizes};
use crate::encoder::aligned::AlignedVec;
use crate::encoder::format::{GROUP, PANEL};
use crate::encoder::weights::Linear;

/// The dot products of one processor family, for `OUTPUTS` outputs at a time.
pub(super) trait DotProducts<const OUTPUTS: usize>: Instructions {
    /// The type that the instructions multiply.
    type Code: Copy;
    /// Subtracted from each code in the conversion to [`Self::Code`].
    const ZERO_POINT: u8;

    /// Converts a row's codes to the type that the instructions multiply.
    fn convert(codes: &[u8]) -> Cow<'_, [Self::Code]>;

    /// The dot products of `ROWS` rows with the weights of all outputs.
    ///
    /// # Safety
    /// The processor must have the instructions. `weights` must be readable for `inputs` times `OUTPUTS` codes and aligned to 64
    /// bytes. `rows` must be readable for `ROWS` times `inputs` codes. `inputs` must be a multiple of 8.
    unsafe fn dot_products<const ROWS: usize>(
        weights: *const i8,
        inputs: usize,
        rows: *const Self::Code,
    ) -> [[i32; OUTPUTS]; ROWS];
}

/// Rows of a full tile. Two vectors of sums per row take twelve of sixteen registers and leave four for the operands.
const TILE: usize = 6;

/// Implements [`super::Arithmetic::linear`].
///
/// # Safety
/// The processor must have the instructions of `P`.
#[inline(always)]
pub(super) unsafe fn linear<P: DotProducts<OUTPUTS>, const OUTPUTS: usize>(
    layer: &Linear<'_>,
    panels: Range<usize>,
    input: &Quantized,
    count: usize,
    activation: Activation,
    out: RowsMut<'_>,
) {
    check_sizes(layer, &panels, input, count, &out);
    assert!(layer.inputs.is_multiple_of(8));
    let rows = P::convert(&input.codes[..count * layer.inputs]);
    let mut weights = AlignedVec::zeroed(layer.inputs * OUTPUTS);
    for output in (panels.start * PANEL..panels.end * PANEL).step_by(OUTPUTS) {
        gather::<OUTPUTS>(layer, output, &mut weights);
        let mut tiles = Tiles::<P, OUTPUTS> {
            layer,
            output,
            weights: &weights,
            rows: &rows,
            affine: &input.affine,
            activation,
            out: &mut out.values[output - panels.start * PANEL..],
            stride: out.stride,
        };
        let full = count - count % TILE;
        // SAFETY: the sizes were checked above, and rows stay below `count`.
        unsafe {
            for row in (0..full).step_by(TILE) {
                tiles.compute::<TILE>(row);
            }
            match count - full {
                1 => tiles.compute::<1>(full),
                2 => tiles.compute::<2>(full),
                3 => tiles.compute::<3>(full),
                4 => tiles.compute::<4>(full),
                5 => tiles.compute::<5>(full),
                _ => {}
            }
        }
    }
}

/// Copies the weights of `OUTPUTS` outputs, starting with `output`, into a contiguous buffer. In the panel they are a panel's width
/// apart, which maps them to a few cache sets, so that every tile would load them from the next cache level.
#[inline(always)]
fn gather<const OUTPUTS: usize>(layer: &Linear<'_>, output: usize, weights: &mut [i8]) {
    let panel = &layer.codes[output / PANEL * PANEL * layer.inputs..][..PANEL * layer.inputs];
    let inside = output % PANEL * GROUP;
    let groups = weights.chunks_exact_mut(OUTPUTS * GROUP);
    for (group, codes) in groups.zip(panel.chunks_exact(PANEL * GROUP)) {
        group.copy_from_slice(&codes[inside..inside + OUTPUTS * GROUP]);
    }
}

/// The operands of all tiles that share `OUTPUTS` outputs.
struct Tiles<'a, P: DotProducts<OUTPUTS>, const OUTPUTS: usize> {
    layer: &'a Linear<'a>,
    output: usize,
    weights: &'a [i8],
    rows: &'a [P::Code],
    affine: &'a [Affine],
    activation: Activation,
    out: &'a mut [f32],
    stride: usize,
}

impl<P: DotProducts<OUTPUTS>, const OUTPUTS: usize> Tiles<'_, P, OUTPUTS> {
    /// Computes `ROWS` rows, starting with `row`.
    ///
    /// # Safety
    /// The rows must exist, the sizes must have been checked, and the processor must have the instructions of `P`.
    #[inline(always)]
    unsafe fn compute<const ROWS: usize>(&mut self, row: usize) {
        let inputs = self.layer.inputs;
        // SAFETY: guaranteed by the caller.
        let sums: [[i32; OUTPUTS]; ROWS] = unsafe {
            let rows = self.rows.as_ptr().add(row * inputs);
            P::dot_products(self.weights.as_ptr(), inputs, rows)
        };
        for (r, sums) in sums.iter().enumerate() {
            let Affine { scale, offset } = self.affine[row + r];
            // x ≈ scale · (code - zero) + (offset + scale · zero)
            let affine = Affine {
                scale,
                offset: P::multiply_add(f32::from(P::ZERO_POINT), scale, offset),
            };
            let target = &mut self.out[(row + r) * self.stride..][..OUTPUTS];
            dequantize::<P>(self.layer, self.output, sums, affine, self.activation, target);
        }
    }
}
