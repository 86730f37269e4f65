//! Linear layers on processors whose products of bytes are written by hand: a few rows by a few outputs at a time.

use std::borrow::Cow;
use std::ops::Range;

use super::portable::{Instructions, finish};
use super::{Activation, Affine, Quantized, RowsMut, check_sizes};
use crate::encoder::aligned::AlignedVec;
use crate::encoder::format::{GROUP, PANEL};
use crate::encoder::weights::Linear;

/// What a family of processors does with bytes, for `OUTPUTS` outputs at a time.
pub(super) trait Products<const OUTPUTS: usize>: Instructions {
    /// A code of a row in the form that is multiplied.
    type Code: Copy;
    /// What is taken from each code when it is put into that form.
    const TAKEN: u8;

    /// Codes in the form that is multiplied.
    fn prepare(codes: &[u8]) -> Cow<'_, [Self::Code]>;

    /// The products of `ROWS` rows with the outputs.
    ///
    /// # Safety
    /// The processor must have the instructions; `weights` must be good for `inputs` times `OUTPUTS` codes and begin on 64
    /// bytes, `rows` be good for `ROWS` times `inputs`, and `inputs` be a multiple of 8.
    unsafe fn products<const ROWS: usize>(
        weights: *const i8,
        inputs: usize,
        rows: *const Self::Code,
    ) -> [[i32; OUTPUTS]; ROWS];
}

/// Rows of a full tile: with two vectors of sums each, they leave room in sixteen registers for what is multiplied.
const TILE: usize = 6;

/// The outputs of some panels, as [`super::Arithmetic::linear`] has it.
///
/// # Safety
/// The processor must have the instructions of `P`.
#[inline(always)]
pub(super) unsafe fn linear<P: Products<OUTPUTS>, const OUTPUTS: usize>(
    layer: &Linear<'_>,
    panels: Range<usize>,
    input: &Quantized,
    count: usize,
    activation: Activation,
    out: RowsMut<'_>,
) {
    check_sizes(layer, &panels, input, count, &out);
    assert!(layer.inputs.is_multiple_of(8));
    let rows = P::prepare(&input.codes[..count * layer.inputs]);
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
        // SAFETY: the sizes were checked, and rows stay under `count`.
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
/// Puts the weights of `OUTPUTS` outputs from `output` on next to each other. Where they lie they are a panel's width apart,
/// which puts them into a few sets of the cache, and every tile would read them from the next level.
#[inline(always)]
fn gather<const OUTPUTS: usize>(layer: &Linear<'_>, output: usize, weights: &mut [i8]) {
    let panel = &layer.codes[output / PANEL * PANEL * layer.inputs..][..PANEL * layer.inputs];
    let inside = output % PANEL * GROUP;
    let groups = weights.chunks_exact_mut(OUTPUTS * GROUP);
    for (group, codes) in groups.zip(panel.chunks_exact(PANEL * GROUP)) {
        group.copy_from_slice(&codes[inside..inside + OUTPUTS * GROUP]);
    }
}

/// Some outputs with all that their tiles need.
struct Tiles<'a, P: Products<OUTPUTS>, const OUTPUTS: usize> {
    layer: &'a Linear<'a>,
    output: usize,
    weights: &'a [i8],
    rows: &'a [P::Code],
    affine: &'a [Affine],
    activation: Activation,
    out: &'a mut [f32],
    stride: usize,
}

impl<P: Products<OUTPUTS>, const OUTPUTS: usize> Tiles<'_, P, OUTPUTS> {
    /// Computes `ROWS` rows from `row` on.
    ///
    /// # Safety
    /// The rows must exist, the sizes be checked, and the processor have the instructions of `P`.
    #[inline(always)]
    unsafe fn compute<const ROWS: usize>(&mut self, row: usize) {
        let inputs = self.layer.inputs;
        // SAFETY: as the caller promises.
        let sums: [[i32; OUTPUTS]; ROWS] = unsafe {
            let rows = self.rows.as_ptr().add(row * inputs);
            P::products(self.weights.as_ptr(), inputs, rows)
        };
        for (r, sums) in sums.iter().enumerate() {
            let Affine { scale, offset } = self.affine[row + r];
            let affine = Affine {
                scale,
                offset: P::multiply_add(f32::from(P::TAKEN), scale, offset),
            };
            let target = &mut self.out[(row + r) * self.stride..][..OUTPUTS];
            finish::<P>(self.layer, self.output, sums, affine, self.activation, target);
        }
    }
}
