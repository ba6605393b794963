//! The vector state (x87, SSE, AVX, ...) of a guest thread, kept where it is until it is needed.
//!
//! Layout: the standard format of XSAVE. See Intel SDM volume 1, chapter 13.

use std::arch::x86_64::{__cpuid, __cpuid_count, _fxsave64, _xgetbv};
use std::io;
use std::sync::{Arc, OnceLock};

/// The part that FXSAVE also knows.
const LEGACY_LEN: usize = 512;
/// The XSAVE header behind it: xstate_bv, xcomp_bv, reserved.
const HEADER_LEN: usize = 64;
const FCW: usize = 0;
const MXCSR: usize = 24;
const MXCSR_MASK: usize = 28;
/// Bytes that the hardware leaves to software; Linux keeps its frame description there.
const SOFTWARE: std::ops::Range<usize> = 464..512;
const X87_AND_SSE: u64 = 3;

/// What vector state this host has.
#[derive(Clone, Copy, Debug)]
struct Layout {
    /// Length of an image.
    size: usize,
    /// The components it can have.
    components: u64,
    /// The bits of MXCSR that may be set.
    mxcsr_mask: u32,
}

fn layout() -> Layout {
    static LAYOUT: OnceLock<Layout> = OnceLock::new();
    *LAYOUT.get_or_init(|| {
        let mut area = Aligned([0; LEGACY_LEN]);
        // SAFETY: every x86-64 processor has FXSAVE; the area is 512 bytes, aligned to 16.
        unsafe { _fxsave64(area.0.as_mut_ptr()) };
        let mxcsr_mask = match read_u32(&area.0, MXCSR_MASK) {
            0 => 0xffbf,
            mask => mask,
        };
        let osxsave = __cpuid(1).ecx & (1 << 27) != 0;
        if osxsave {
            let size = __cpuid_count(0xd, 0).ebx as usize;
            // SAFETY: OSXSAVE was checked: the instruction exists and is enabled.
            let components = unsafe { xcr0() };
            Layout { size: size.max(LEGACY_LEN + HEADER_LEN), components, mxcsr_mask }
        } else {
            Layout { size: LEGACY_LEN + HEADER_LEN, components: X87_AND_SSE, mxcsr_mask }
        }
    })
}

#[repr(align(16))]
struct Aligned([u8; LEGACY_LEN]);

/// # Safety
/// The processor must have XSAVE, enabled by the kernel.
#[target_feature(enable = "xsave")]
unsafe fn xcr0() -> u64 {
    // SAFETY: the caller's promise.
    unsafe { _xgetbv(0) }
}

/// The length of a whole vector state image on this host, in bytes.
pub fn vector_size() -> usize {
    layout().size
}

/// The components of vector state that this host has (XCR0), for the guest's AT_HWCAP-like needs
/// and the software-reserved bytes of a signal frame.
pub fn vector_components() -> u64 {
    layout().components
}

/// Where a platform keeps the state of a thread that is stopped.
pub trait VectorSource: Send + Sync {
    /// Reads the whole image, [`crate::vector_size`] bytes. Called by the thread that handles the event.
    fn read(&self) -> io::Result<Vec<u8>>;
}

/// The state of one thread.
pub(crate) struct Vector {
    place: Place,
}

enum Place {
    /// As after `exec`, not yet in any host thread.
    Initial,
    /// In the host thread only.
    Host(Arc<dyn VectorSource>),
    /// In the host thread, with a copy that is good until the thread runs again.
    Cached(Vec<u8>),
    /// Changed here; to be loaded before the thread runs again.
    Changed(Vec<u8>),
}

impl Vector {
    pub(crate) fn initial() -> Self {
        Vector { place: Place::Initial }
    }

    pub(crate) fn get(&mut self) -> io::Result<&[u8]> {
        match &self.place {
            Place::Initial => self.place = Place::Changed(initial_image()),
            Place::Host(source) => {
                let bytes = source.read()?;
                self.place = Place::Cached(bytes);
            }
            Place::Cached(_) | Place::Changed(_) => {}
        }
        match &self.place {
            Place::Cached(bytes) | Place::Changed(bytes) => Ok(bytes),
            Place::Initial | Place::Host(_) => Err(io::ErrorKind::Other.into()),
        }
    }

    pub(crate) fn set(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.place = Place::Changed(sanitise(bytes, layout())?);
        Ok(())
    }

    pub(crate) fn copy(&mut self) -> io::Result<Self> {
        let place = match self.place {
            Place::Initial => Place::Initial,
            _ => Place::Changed(sanitise(self.get()?, layout())?),
        };
        Ok(Vector { place })
    }

    pub(crate) fn to_load(&self) -> Option<io::Result<Vec<u8>>> {
        match &self.place {
            Place::Initial => Some(Ok(initial_image())),
            Place::Changed(bytes) => Some(Ok(bytes.clone())),
            Place::Host(_) | Place::Cached(_) => None,
        }
    }

    pub(crate) fn loaded(&mut self, source: &Arc<dyn VectorSource>) {
        if !matches!(self.place, Place::Host(_)) {
            self.place = Place::Host(source.clone());
        }
    }
}

/// The state after `exec`: no component in use, so the processor gives each its initial value;
/// FCW and MXCSR are there for those who read the image (and XRSTOR takes MXCSR from it).
fn initial_image() -> Vec<u8> {
    let mut image = vec![0; layout().size];
    image[FCW..FCW + 2].copy_from_slice(&0x37fu16.to_le_bytes());
    image[MXCSR..MXCSR + 4].copy_from_slice(&0x1f80u32.to_le_bytes());
    image
}

/// Makes an image that the host cannot refuse.
fn sanitise(bytes: &[u8], layout: Layout) -> io::Result<Vec<u8>> {
    if bytes.len() < LEGACY_LEN || bytes.len() > layout.size {
        return Err(io::Error::from_raw_os_error(libc::EINVAL));
    }
    let mut image = vec![0; layout.size];
    image[..bytes.len()].copy_from_slice(bytes);
    let mxcsr = read_u32(&image, MXCSR) & layout.mxcsr_mask;
    image[MXCSR..MXCSR + 4].copy_from_slice(&mxcsr.to_le_bytes());
    image[MXCSR_MASK..MXCSR_MASK + 4].fill(0);
    image[SOFTWARE].fill(0);
    // An image of FXSAVE alone has no header: x87 and SSE are what it holds.
    let used = if bytes.len() < LEGACY_LEN + HEADER_LEN {
        X87_AND_SSE
    } else {
        u64::from(read_u32(&image, LEGACY_LEN)) | u64::from(read_u32(&image, LEGACY_LEN + 4)) << 32
    };
    image[LEGACY_LEN..LEGACY_LEN + HEADER_LEN].fill(0);
    // Components of which only a part was given stay initial only if none of them is claimed;
    // the missing bytes are zero, which is a legal value of every component.
    image[LEGACY_LEN..LEGACY_LEN + 8].copy_from_slice(&(used & layout.components).to_le_bytes());
    Ok(image)
}

fn read_u32(bytes: &[u8], at: usize) -> u32 {
    let mut word = [0; 4];
    word.copy_from_slice(&bytes[at..at + 4]);
    u32::from_le_bytes(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn absurd_lengths_are_refused() {
        let mut vector = Vector::initial();
        assert!(vector.set(&[]).is_err());
        assert!(vector.set(&[0; 511]).is_err());
        assert!(vector.set(&vec![0; layout().size + 1]).is_err());
        assert!(vector.set(&[0; 512]).is_ok());
        assert_eq!(vector.get().unwrap().len(), layout().size);
    }

    #[test]
    fn reserved_fields_are_cleared() {
        let layout = layout();
        let image = sanitise(&vec![0xff; layout.size], layout).unwrap();
        assert_eq!(read_u32(&image, MXCSR) & !layout.mxcsr_mask, 0);
        assert_eq!(read_u32(&image, LEGACY_LEN), layout.components as u32);
        assert!(image[LEGACY_LEN + 8..LEGACY_LEN + HEADER_LEN].iter().all(|byte| *byte == 0));
    }
}
