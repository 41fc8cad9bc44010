//! What the host writes for the stages of the surfels' parameters, laid out as the shaders declare it; a test compares them.

pub(super) use crate::gpu::uniforms::ABSENT;
use crate::gpu::uniforms::uniform;

uniform! {
    /// See `shaders/shared/raw.wgsl`.
    RowUniform {
        surfels: u32,
        copies: u32,
        width: u32,
        first_row: u32,
        position: u32,
        rotation: u32,
        log_scale: u32,
        opacity: u32,
        harmonics: u32,
        attention: u32,
        added: u32,
        stored: u32,
        drawn: u32,
        attends: u32,
        geometry_groups: u32,
        fresh: u32,
        first_of_mouth: u32,
        rest: f32,
    }
}

uniform! {
    /// See `shaders/optim/adam.wgsl`.
    AdamUniform {
        count: u32,
        surfels: u32,
        stored: u32,
        first_gradient: u32,
        correction1: f32,
        correction2: f32,
        position: f32,
        rotation: f32,
        scaling: f32,
        opacity: f32,
        feature: f32,
        higher: f32,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gpu::shaders::{Reduce, source};
    use crate::gpu::uniforms::assert_layout;
    use crate::head::backend::adam::{BETA1, BETA2, EPSILON};
    use crate::head::cloud::quaternion::SHORTEST;

    #[test]
    fn structs_are_laid_out_the_same_on_the_host() {
        for stage in ["activate", "activate_backward"] {
            assert_layout(stage, "RowParams", RowUniform::MEMBERS);
        }
        assert_layout("adam", "AdamParams", AdamUniform::MEMBERS);
    }

    #[test]
    fn adam_and_quaternions_have_the_host_s_constants() {
        let constant = |stage: &str, name: &str| {
            let text = source(stage, Reduce::Threads).expect("a source");
            let module = naga::front::wgsl::parse_str(&text).expect("a shader");
            let (_, found) = module.constants.iter().find(|(_, c)| c.name.as_deref() == Some(name))?;
            match module.global_expressions[found.init] {
                naga::Expression::Literal(naga::Literal::F32(v)) => Some(v),
                _ => None,
            }
        };
        for (name, value) in [("BETA1", BETA1), ("BETA2", BETA2), ("EPSILON", EPSILON)] {
            assert_eq!(constant("adam", name), Some(value), "{name}");
        }
        assert_eq!(constant("activate", "SHORTEST"), Some(SHORTEST));
    }
}
