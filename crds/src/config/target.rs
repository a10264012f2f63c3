//! The wire form of a compiled target: the one place where its secrets are written out.
//!
//! The types of `compiled` cannot be serialized, so that nothing does it by accident; these mirrors
//! can. Each names every field of its original, or it does not compile. Requests travel in the
//! manifest, so that asking for something rewrites no shard.

use std::borrow::Cow;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use uuid::Uuid;

use crate::compiled::{
    Authentication, ClientCertificate, CompiledTarget, Endpoint, Format, Method, OnHeadFailing,
    OnReject, Request, Retry, RetryAfterPolicy, Source, StartFrom, StatusOverride, Tls, TlsVersion,
    TransactionLimits,
};
use crate::secret::Secret;

#[derive(Serialize, Deserialize)]
#[serde(remote = "CompiledTarget", rename_all = "camelCase")]
struct TargetDef {
    uid: Uuid,
    namespace: String,
    name: String,
    suspend: bool,
    sources: Vec<Source>,
    #[serde(with = "StartFromDef")]
    start_from: StartFrom,
    #[serde(with = "EndpointDef")]
    endpoint: Endpoint,
    #[serde(default, with = "optional", skip_serializing_if = "Option::is_none")]
    authentication: Option<Authentication>,
    #[serde(default, with = "secrets", skip_serializing_if = "Vec::is_empty")]
    signing_keys: Vec<Secret>,
    format: Format,
    event_type: String,
    #[serde(with = "LimitsDef")]
    transaction: TransactionLimits,
    #[serde(with = "millis")]
    timeout: Duration,
    #[serde(with = "RetryDef")]
    retry: Retry,
    on_reject: OnReject,
    on_head_failing: OnHeadFailing,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    dead_letter_topic: Option<String>,
    failure_threshold: u32,
    #[serde(default)]
    deleted: bool,
    #[serde(skip)]
    requests: Vec<Request>,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "StartFrom")]
enum StartFromDef {
    Latest,
    Earliest,
    Timestamp(i64),
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Endpoint", rename_all = "camelCase")]
struct EndpointDef {
    #[serde(with = "secret")]
    url: Secret,
    shown_url: String,
    method: Method,
    headers: Vec<(String, String)>,
    #[serde(with = "TlsDef")]
    tls: Tls,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Tls", rename_all = "camelCase")]
struct TlsDef {
    #[serde(default, with = "optional", skip_serializing_if = "Option::is_none")]
    ca: Option<Secret>,
    #[serde(default, with = "optional", skip_serializing_if = "Option::is_none")]
    client_certificate: Option<ClientCertificate>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    server_name: Option<String>,
    min_version: TlsVersion,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "ClientCertificate")]
struct ClientCertificateDef {
    #[serde(with = "secret")]
    chain: Secret,
    #[serde(with = "secret")]
    key: Secret,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Authentication")]
enum AuthenticationDef {
    Bearer(#[serde(with = "secret")] Secret),
    Basic {
        #[serde(with = "secret")]
        username: Secret,
        #[serde(with = "secret")]
        password: Secret,
    },
    Header {
        name: String,
        #[serde(with = "secret")]
        value: Secret,
    },
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "TransactionLimits", rename_all = "camelCase")]
struct LimitsDef {
    max_events: usize,
    max_bytes: usize,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Retry", rename_all = "camelCase")]
struct RetryDef {
    #[serde(with = "millis")]
    initial_backoff: Duration,
    #[serde(with = "millis")]
    max_backoff: Duration,
    #[serde(with = "millis")]
    max_age: Duration,
    retry_after: RetryAfterPolicy,
    reject_attempts: u32,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    status_overrides: Vec<StatusOverride>,
}

/// A compiled target as it is written.
pub(super) struct Written<'a>(pub(super) &'a CompiledTarget);

/// A compiled target as it is read.
pub(super) struct Read(pub(super) CompiledTarget);

impl Serialize for Written<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        TargetDef::serialize(self.0, serializer)
    }
}

impl<'de> Deserialize<'de> for Read {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        TargetDef::deserialize(deserializer).map(Self)
    }
}

/// A value that has a wire form.
trait Wired: Sized {
    fn write<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error>;
    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error>;
}

impl Wired for Secret {
    fn write<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(self.expose()))
    }

    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        // What the decoder says would hold a byte of the value.
        let bytes = STANDARD
            .decode(text.as_bytes())
            .map_err(|_| serde::de::Error::custom("a secret is no base64"))?;
        Ok(Self::new(bytes))
    }
}

impl Wired for Authentication {
    fn write<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        AuthenticationDef::serialize(self, serializer)
    }

    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        AuthenticationDef::deserialize(deserializer)
    }
}

impl Wired for ClientCertificate {
    fn write<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        ClientCertificateDef::serialize(self, serializer)
    }

    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        ClientCertificateDef::deserialize(deserializer)
    }
}

/// Carries a value into an `Option` or a list.
struct Out<'a, T>(&'a T);
struct In<T>(T);

impl<T: Wired> Serialize for Out<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.write(serializer)
    }
}

impl<'de, T: Wired> Deserialize<'de> for In<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        T::read(deserializer).map(Self)
    }
}

mod secret {
    use super::{Deserializer, Secret, Serializer, Wired};

    pub(super) fn serialize<S: Serializer>(value: &Secret, to: S) -> Result<S::Ok, S::Error> {
        value.write(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Secret, D::Error> {
        Secret::read(from)
    }
}

mod secrets {
    use super::{Deserialize, Deserializer, In, Out, Secret, Serializer};

    pub(super) fn serialize<S: Serializer>(values: &[Secret], to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(values.iter().map(Out))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<Secret>, D::Error> {
        let values = Vec::<In<Secret>>::deserialize(from)?;
        Ok(values.into_iter().map(|In(value)| value).collect())
    }
}

mod optional {
    use super::{Deserialize, Deserializer, In, Out, Serialize, Serializer, Wired};

    pub(super) fn serialize<T: Wired, S: Serializer>(
        value: &Option<T>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        value.as_ref().map(Out).serialize(to)
    }

    pub(super) fn deserialize<'de, T: Wired, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<T>, D::Error> {
        let value = Option::<In<T>>::deserialize(from)?;
        Ok(value.map(|In(value)| value))
    }
}

mod millis {
    use super::{Deserialize, Deserializer, Duration, Serializer};

    pub(super) fn serialize<S: Serializer>(value: &Duration, to: S) -> Result<S::Ok, S::Error> {
        // The longest duration of a spec has 44 bits.
        to.serialize_u64(u64::try_from(value.as_millis()).unwrap_or(u64::MAX))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
        u64::deserialize(from).map(Duration::from_millis)
    }
}
