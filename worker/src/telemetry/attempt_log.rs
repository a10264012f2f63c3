//! x
/// x
pub fn record(
    _: &parcelhook_crds::compiled::CompiledTarget,
    _: &crate::report::AttemptLine,
    _: Option<std::time::Duration>,
) {
}
