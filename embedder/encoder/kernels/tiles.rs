//! Linear layers on processors whose products of bytes are written by hand: a few rows by one panel at a time.

use std::borrow::Cow;
use std::ops::Range;

use super::portable::{Instructions, finish};
use super::{Activation, Affine, Quantised, RowsMut, check_sizes};
use crate::encoder::format::PANEL;
use crate::encoder::weights::Linear;

/// Sums of a tile: as many rows as it has, and the outputs of one panel.
pub(super) type Sums<const ROWS: usize> = [[i32; PANEL]; ROWS];

/// What a family of processors does with bytes.
pub(super) trait Products: Instructions {
    /// A code of a row in the form that is multiplied.
    type Code: Copy;
    /// What is taken from each code when it is put into that form.
    const TAKEN: u8;

    /// Codes in the form that is multiplied.
    fn prepare(codes: &[u8]) -> Cow<'_, [Self::Code]>;

    /// The products of `ROWS` rows with the outputs of a panel.
    ///
    /// # Safety
    /// The processor must have the instructions; `panel` must be good for `inputs` times 64 codes, `rows` for `ROWS` times
    /// `inputs`, and `inputs` be a multiple of 8.
    unsafe fn products<const ROWS: usize>(
        panel: *const i8,
        inputs: usize,
        rows: *const Self::Code,
    ) -> Sums<ROWS>;
}

/// The outputs of some panels, as [`super::Arithmetic::linear`] has it.
///
/// # Safety
/// The processor must have the instructions of `P`.
#[inline(always)]
pub(super) unsafe fn linear<P: Products>(
    layer: &Linear<'_>,
    panels: Range<usize>,
    input: &Quantised,
    count: usize,
    activation: Activation,
    out: RowsMut<'_>,
) {
    check_sizes(layer, &panels, input, count, &out);
    assert!(layer.inputs.is_multiple_of(8));
    let rows = P::prepare(&input.codes[..count * layer.inputs]);
    let first = panels.start;
    for panel in panels {
        let mut tiles = Tiles::<P> {
            layer,
            panel,
            rows: &rows,
            affine: &input.affine,
            activation,
            out: &mut out.values[(panel - first) * PANEL..],
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

/// Rows of a full tile: with two vectors of sums each, they leave room in sixteen registers for what is multiplied.
const TILE: usize = 6;

/// One panel with all that its tiles need.
struct Tiles<'a, P: Products> {
    layer: &'a Linear<'a>,
    panel: usize,
    rows: &'a [P::Code],
    affine: &'a [Affine],
    activation: Activation,
    out: &'a mut [f32],
    stride: usize,
}

impl<P: Products> Tiles<'_, P> {
    /// Computes `ROWS` rows from `row` on.
    ///
    /// # Safety
    /// The rows must exist, the sizes be checked, and the processor have the instructions of `P`.
    #[inline(always)]
    unsafe fn compute<const ROWS: usize>(&mut self, row: usize) {
        let inputs = self.layer.inputs;
        // SAFETY: as the caller promises.
        let sums: Sums<ROWS> = unsafe {
            P::products(
                self.layer.codes.as_ptr().add(self.panel * PANEL * inputs),
                inputs,
                self.rows.as_ptr().add(row * inputs),
            )
        };
        for (r, sums) in sums.iter().enumerate() {
            let Affine { scale, offset } = self.affine[row + r];
            let affine = Affine {
                scale,
                offset: f32::from(P::TAKEN).mul_add(scale, offset),
            };
            let target = &mut self.out[(row + r) * self.stride..][..PANEL];
            finish::<P>(self.layer, self.panel, sums, affine, self.activation, target);
        }
    }
}
