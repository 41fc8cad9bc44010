//! Every shader is parsed and validated by naga, without a GPU.

use super::*;
use naga::valid::{Capabilities, ValidationFlags, Validator};

pub(crate) fn module(stage: &str, reduce: Reduce) -> naga::Module {
    let text = source(stage, reduce).expect("a source");
    naga::front::wgsl::parse_str(&text).unwrap_or_else(|e| panic!("{stage}: {}", e.emit_to_string(&text)))
}

fn validate(stage: &str, reduce: Reduce, module: &naga::Module) -> Result<naga::valid::ModuleInfo> {
    let capabilities = match reduce {
        Reduce::Subgroups => Capabilities::SUBGROUP,
        Reduce::Threads => Capabilities::empty(),
    };
    let mut validator = Validator::new(ValidationFlags::all(), capabilities);
    validator.subgroup_stages(naga::valid::ShaderStages::COMPUTE);
    validator.subgroup_operations(naga::valid::SubgroupOperationSet::all());
    let text = source(stage, reduce)?;
    validator
        .validate(module)
        .map_err(|e| Error::Internal(format!("{stage}, {reduce:?}: {}", e.emit_to_string(&text))))
}

#[test]
fn every_stage_is_valid_with_and_without_subgroups() {
    for (stage, _) in STAGES {
        for reduce in [Reduce::Subgroups, Reduce::Threads] {
            validate(stage, reduce, &module(stage, reduce)).expect("a valid shader");
        }
    }
}

#[test]
fn an_invalid_shader_is_told_apart() {
    let text = source("blend", Reduce::Threads)
        .expect("a source")
        .replace("ray.live = place.inside;", "ray.live = 1.0;");
    let valid = naga::front::wgsl::parse_str(&text).map(|m| validate("blend", Reduce::Threads, &m).is_ok());
    assert!(!valid.unwrap_or(false));
}

#[test]
fn every_stage_keeps_to_the_limits_that_all_of_webgpu_has() {
    let limits = wgpu::Limits::default();
    for (stage, _) in STAGES {
        for reduce in [Reduce::Subgroups, Reduce::Threads] {
            let parsed = module(stage, reduce);
            let info = validate(stage, reduce, &parsed).expect("a valid shader");
            let (module, _) = naga::back::pipeline_constants::process_overrides(
                &parsed,
                &info,
                Some((naga::ShaderStage::Compute, stage)),
                &Default::default(),
            )
            .expect("constants");
            let mut layouter = naga::proc::Layouter::default();
            layouter.update(module.to_ctx()).expect("sizes");
            let (mut storage, mut workgroup) = (0, 0);
            for (_, variable) in module.global_variables.iter() {
                match variable.space {
                    naga::AddressSpace::Storage { .. } => storage += 1,
                    naga::AddressSpace::WorkGroup => workgroup += layouter[variable.ty].size,
                    _ => {}
                }
            }
            assert!(storage <= limits.max_storage_buffers_per_shader_stage, "{stage}: {storage} buffers");
            assert!(
                workgroup <= limits.max_compute_workgroup_storage_size,
                "{stage}, {reduce:?}: {workgroup} bytes of workgroup memory"
            );
            let entry = module.entry_points.first().expect("an entry point");
            assert_eq!(entry.name, *stage);
            assert!(
                entry.workgroup_size.iter().product::<u32>() <= limits.max_compute_invocations_per_workgroup
            );
        }
    }
}

#[test]
fn an_unknown_file_is_an_error() {
    assert!(source("no_such_stage", Reduce::Threads).is_err());
}

#[test]
fn a_part_is_taken_in_once() {
    let text = source("blend_backward", Reduce::Subgroups).expect("a source");
    assert_eq!(text.matches("const TILE: u32").count(), 1);
    assert!(!text.contains("//#import"));
}

#[test]
fn only_a_stage_that_uses_subgroups_asks_a_browser_for_them() {
    for (stage, _) in STAGES {
        let threads = browser_source(stage, &[], Reduce::Threads).expect("a source");
        assert!(!threads.contains("enable"), "{stage}");
    }
    let blend = browser_source("blend_backward", &[], Reduce::Subgroups).expect("a source");
    assert!(blend.starts_with("enable subgroups;\n"));
    assert_eq!(
        &blend[BROWSER_SUBGROUPS.len()..],
        source("blend_backward", Reduce::Subgroups).expect("a source")
    );
}

#[test]
fn every_render_pass_is_valid() {
    for (name, _) in RENDERS {
        let text = render_source(name).expect("a source");
        let module =
            naga::front::wgsl::parse_str(&text).unwrap_or_else(|e| panic!("{}", e.emit_to_string(&text)));
        let mut validator = Validator::new(ValidationFlags::all(), Capabilities::empty());
        validator.validate(&module).unwrap_or_else(|e| panic!("{}", e.emit_to_string(&text)));
    }
}

#[test]
fn every_file_that_a_shader_names_as_its_twin_exists() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut named = 0;
    for (name, text) in STAGES.iter().chain(RENDERS).chain(SHARED) {
        for word in text
            .split(|c: char| c.is_whitespace() || ",;`".contains(c))
            .filter(|word| word.starts_with("src/") && word.contains(".rs"))
        {
            let file = word.trim_end_matches(['.', ')', ':']);
            assert!(root.join(file).is_file(), "{name}.wgsl names {file}");
            named += 1;
        }
    }
    assert!(named > 20, "only {named} files are named");
}
