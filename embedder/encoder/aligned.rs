//! Memory aligned to cache lines, which the kernels' vector loads and stores require.

use std::ops::{Deref, DerefMut};

use crate::encoder::format::ALIGNMENT;

/// Aligns the bytes of `include_bytes!`, which otherwise have no alignment.
#[repr(C, align(64))]
pub(crate) struct Aligned<T: ?Sized>(pub(crate) T);

const _: () = assert!(align_of::<Line>() == ALIGNMENT && align_of::<Aligned<u8>>() == ALIGNMENT);

#[derive(Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C, align(64))]
struct Line([u8; 64]);

/// A growable slice of numbers, aligned to 64 bytes.
#[derive(Clone, Default)]
pub struct AlignedVec<T> {
    lines: Vec<Line>,
    length: usize,
    element: std::marker::PhantomData<T>,
}

impl<T: bytemuck::Pod> AlignedVec<T> {
    /// A slice of `length` zeros.
    pub fn zeroed(length: usize) -> Self {
        let mut vec = Self {
            lines: Vec::new(),
            length: 0,
            element: std::marker::PhantomData,
        };
        vec.grow(length);
        vec
    }

    /// Grows to at least `length` elements. New elements are zero.
    pub fn grow(&mut self, length: usize) {
        if length > self.length {
            self.lines
                .resize((length * size_of::<T>()).div_ceil(ALIGNMENT), Line([0; 64]));
            self.length = length;
        }
    }
}

impl<T: bytemuck::Pod> Deref for AlignedVec<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &bytemuck::cast_slice(&self.lines)[..self.length]
    }
}

impl<T: bytemuck::Pod> DerefMut for AlignedVec<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        &mut bytemuck::cast_slice_mut(&mut self.lines)[..self.length]
    }
}
