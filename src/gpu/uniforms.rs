//! Uniform structs: four-byte members, laid out as a shader declares them.

/// The offset of something that is absent; a test compares it with the shaders'.
pub(crate) const ABSENT: u32 = u32::MAX;

/// A struct whose members are four bytes wide and follow each other, so that no padding can come between. The room that
/// uses it compares its members with the shader's in a test.
macro_rules! uniform {
    ($(#[$about:meta])* $name:ident { $($field:ident: $kind:ty,)* }) => {
        $(#[$about])*
        #[derive(Debug, Clone, Copy, Default, bytemuck::Pod, bytemuck::Zeroable)]
        #[repr(C)]
        pub(crate) struct $name { $(pub(crate) $field: $kind,)* }

        impl $name {
            /// Names of the members, in order.
            #[cfg(test)]
            pub(crate) const MEMBERS: &[&str] = &[$(stringify!($field)),*];

            /// The members as the device reads them.
            pub(crate) fn words(&self) -> Vec<u32> {
                bytemuck::cast_slice(std::slice::from_ref(self)).to_vec()
            }
        }
    };
}

pub(crate) use uniform;

/// Whether a shader declares a struct with these members, four bytes each.
#[cfg(test)]
pub(crate) fn assert_layout(stage: &str, name: &str, host: &[&str]) {
    let text = super::shaders::source(stage, super::shaders::Reduce::Threads).expect("a source");
    let module = naga::front::wgsl::parse_str(&text).expect("a shader");
    let (_, found) = module.types.iter().find(|(_, t)| t.name.as_deref() == Some(name)).expect("the struct");
    let naga::TypeInner::Struct { members, span } = &found.inner else { panic!("{name} is no struct") };
    let device: Vec<_> = members.iter().map(|m| (m.name.clone().unwrap_or_default(), m.offset)).collect();
    let expected: Vec<_> = host.iter().enumerate().map(|(i, m)| ((*m).to_owned(), 4 * i as u32)).collect();
    assert_eq!(device, expected, "{name}");
    assert_eq!(*span as usize, 4 * host.len(), "{name}");
}
