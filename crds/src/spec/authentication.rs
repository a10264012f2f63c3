//! Credentials of a request: a union, told apart by `type`. Values come from Secrets only.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::endpoint::{RESERVED, RESERVED_MESSAGE};
use super::pattern;
use super::secret_ref::{SecretKeyRef, SecretRef};

/// Credentials that are added to each request. type says which member is set.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("(self.type == 'Bearer') == has(self.bearer)")
        .message("must be set when `type` is 'Bearer', and only then")
        .field_path(".bearer"),
    validation = Rule::new("(self.type == 'Basic') == has(self.basic)")
        .message("must be set when `type` is 'Basic', and only then")
        .field_path(".basic"),
    validation = Rule::new("(self.type == 'Header') == has(self.header)")
        .message("must be set when `type` is 'Header', and only then")
        .field_path(".header"),
)]
pub struct Authentication {
    /// type is the kind of credentials.
    #[serde(rename = "type")]
    pub kind: AuthenticationType,

    /// bearer sends a token as Authorization: Bearer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bearer: Option<BearerAuthentication>,

    /// basic sends a user name and a password as Authorization: Basic.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub basic: Option<BasicAuthentication>,

    /// header sends a header of a chosen name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub header: Option<HeaderAuthentication>,
}

/// A kind of credentials.
#[derive(JsonSchema, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum AuthenticationType {
    /// A bearer token.
    Bearer,
    /// A user name and a password.
    Basic,
    /// A header of a chosen name.
    Header,
}

/// A bearer token.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BearerAuthentication {
    /// tokenSecretRef is the key of a Secret that holds the token.
    pub token_secret_ref: SecretKeyRef,
}

/// A user name and a password.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BasicAuthentication {
    /// secretRef is a Secret of type kubernetes.io/basic-auth (keys username and password).
    pub secret_ref: SecretRef,
}

/// A header with a secret value.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HeaderAuthentication {
    /// name is the header's name in lower case.
    #[schemars(length(min = 1, max = 256), regex(pattern = pattern::HEADER_NAME))]
    #[x_kube(validation = Rule::new(RESERVED).message(RESERVED_MESSAGE))]
    pub name: String,

    /// valueSecretRef is the key of a Secret that holds the header's value.
    pub value_secret_ref: SecretKeyRef,
}
