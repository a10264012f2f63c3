//! An object that nobody can read stands in the store beside good ones.

use anyhow::Result;
use serde_json::json;
use uuid::Uuid;

use super::course::Course;

#[tokio::test]
async fn an_object_that_cannot_be_read_stops_no_other_and_says_so() -> Result<()> {
    let course = Course::begin("unreadable").await?;
    let release = &course.release;
    let shrug = json!({
        "apiVersion": "parcelhook.dev/v1alpha1",
        "kind": "DeliveryTarget",
        "metadata": {
            "name": "shrug", "namespace": release.home.namespace, "uid": Uuid::new_v4(),
            "generation": 1, "creationTimestamp": "2026-01-31T12:00:00Z",
        },
        "spec": {
            "workerGroup": "default",
            "sources": [{"topic": "orders", "class": "Persistent"}],
            "endpoint": {"url": "https://example.com/hook", "method": "POST"},
            // Of a version with one more choice.
            "onReject": "Shrug",
        },
    });
    let resource = "parcelhook.dev/deliverytargets";
    release.home.api.store(resource, &shrug).await?;
    let _operator = release.operator().await?;
    course.first().await?;
    course.first_is_run().await?;
    release
        .shows("shrug", "Accepted", "False InvalidSpec")
        .await?;
    course.second().await?;
    course.second_is_run().await?;
    let list = release
        .home
        .kubectl(&["get", "deliverytargets", "-o", "name"])
        .await?;
    assert!(
        list.contains("deliverytarget.parcelhook.dev/shrug\n"),
        "{list}"
    );

    // Whoever mends it gets what the others have.
    release
        .change("shrug", &json!({"spec": {"onReject": "Block"}}))
        .await?;
    release.shows("shrug", "Ready", "True Ready").await
}
