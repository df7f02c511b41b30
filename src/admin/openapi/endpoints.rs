//! Every endpoint: what it takes, gives, and why it refuses.

use utoipa::openapi::path::{ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::openapi::{RefOr, Required};

use super::{Endpoint, Schemas};
use crate::admin::stream;
use crate::admin::types::{
    ChecksPage, ChecksRequest, ClearRequest, DatacentersPage, Event, EventsRequest, ExplainRequest,
    FailbackRequest, FailedBack, LimiterReleased, LogRequest, LogStatus, NoBody, OverrideDone,
    OverrideRequest, OverridesPage, ReloadReport, SimulateRequest, Simulation, Status,
    SupportBundle, Upgraded, WebhookTested, WebhooksPage, WipStatus, WipsPage, WipsRequest,
};
use crate::answer::explain::Explanation;
use crate::metrics::text;

/// What the document opens with.
pub(super) const DESCRIPTION: &str = "The admin listener of this DNS server. Errors are problem \
    documents (RFC 9457) whose `type` is `urn:windrose:problem:` and a stable word. Fields are \
    added, never changed or removed: pass over those you do not know. Times are unix seconds, \
    `_s` at the end.";

/// What may happen to any request; with true, below `/api/` alone.
pub(super) const EVERYWHERE: [(u16, &str, bool); 6] = [
    (401, "The token is wrong or missing.", true),
    (403, "The Host or Origin header names another host.", false),
    (408, "The body took too long.", false),
    (413, "The body is too large.", false),
    (500, "A mistake of the server's; its log says more.", false),
    (503, "Not now: the detail says why.", false),
];

/// All there are, in the order of the router.
pub(super) fn all(schemas: &mut Schemas) -> Vec<Endpoint> {
    let mut all = process(schemas);
    all.extend(looking(schemas));
    all.extend(acting(schemas));
    all.extend(overriding(schemas));
    all.extend(thinking(schemas));
    all
}

fn process(_: &mut Schemas) -> Vec<Endpoint> {
    const TEXT: &str = "text/plain";
    vec![
        Endpoint::get("/", "page").summary("The status page").text(200, "The page.", "text/html"),
        Endpoint::get("/healthz", "healthz")
            .summary("Whether the process lives")
            .text(200, "It does.", TEXT),
        Endpoint::get("/readyz", "readyz")
            .summary("Whether this server should be sent clients")
            .text(200, "It should.", TEXT)
            .text(503, "It should not; the text says why.", TEXT),
        Endpoint::get("/metrics", "metrics").summary("Metrics, in Prometheus' text format").text(
            200,
            "The metrics.",
            text::CONTENT_TYPE,
        ),
        Endpoint::get("/api/v1/openapi.json", "openapi")
            .summary("This document")
            .object("This document."),
    ]
}

fn looking(schemas: &mut Schemas) -> Vec<Endpoint> {
    schemas.add::<Event>();
    vec![
        Endpoint::get("/api/v1/status", "status")
            .summary("What runs, and how it is")
            .gives::<Status>(schemas, "How it is."),
        Endpoint::get("/api/v1/explain", "explain")
            .summary("Why a client gets its answer")
            .query::<ExplainRequest>()
            .gives::<Explanation>(schemas, "The answer and its reasons.")
            .problem(404, "There is no such datacenter."),
        Endpoint::get("/api/v1/checks", "checks")
            .summary("What is probed, and how each probe is")
            .query::<ChecksRequest>()
            .gives::<ChecksPage>(schemas, "A page of checks.")
            .problem(404, "There is no such WIP or check."),
        Endpoint::get("/api/v1/wips", "wips")
            .summary("WIPs, and how each member is")
            .query::<WipsRequest>()
            .gives::<WipsPage>(schemas, "A page of WIPs.")
            .problem(404, "There is no WIP of the name in `after`."),
        Endpoint::get("/api/v1/wips/{name}", "wip")
            .summary("One WIP, and how each member is")
            .parameter(path_parameter("name", "The WIP's name, or an alias of it."))
            .gives::<WipStatus>(schemas, "The WIP.")
            .problem(404, "There is no such WIP."),
        Endpoint::get("/api/v1/datacenters", "datacenters")
            .summary("Datacenters, and how their members are")
            .gives::<DatacentersPage>(schemas, "All of them."),
        Endpoint::get("/api/v1/events", "events")
            .summary("What happens, as server-sent events without end")
            .query::<EventsRequest>()
            .parameter(
                ParameterBuilder::new()
                    .name("Last-Event-ID")
                    .parameter_in(ParameterIn::Header)
                    .required(Required::False)
                    .description(Some("The last event that was seen; wins over `after`."))
                    .schema(Some(string())),
            )
            .text(200, "The `data` of each event is an `Event`.", stream::CONTENT_TYPE),
    ]
}

fn acting(schemas: &mut Schemas) -> Vec<Endpoint> {
    vec![
        Endpoint::get("/api/v1/log", "log")
            .summary("What is logged")
            .gives::<LogStatus>(schemas, "The level in force."),
        Endpoint::put("/api/v1/log", "log_level")
            .summary("Logs more or less from now on")
            .takes::<LogRequest>(schemas, true)
            .gives::<LogStatus>(schemas, "It does."),
        Endpoint::post("/api/v1/failback", "failback")
            .summary("Lets members that are held take part again")
            .takes::<FailbackRequest>(schemas, false)
            .gives::<FailedBack>(schemas, "They do.")
            .problem(404, "There is no such WIP or member.")
            .problem(409, "None of them is held."),
        Endpoint::post("/api/v1/limiter/release", "limiter_release")
            .summary("Lets the losses that the limiter holds take their course")
            .takes::<NoBody>(schemas, false)
            .gives::<LimiterReleased>(schemas, "They do.")
            .problem(409, "It holds nothing."),
        Endpoint::post("/api/v1/reload", "reload")
            .summary("Loads the config anew")
            .takes::<NoBody>(schemas, false)
            .gives::<ReloadReport>(schemas, "It is in force.")
            .problem(422, "The config was refused: `report` and `problems` say why."),
        Endpoint::post("/api/v1/upgrade", "upgrade")
            .summary("Has a new process of the program take this one's place")
            .takes::<NoBody>(schemas, false)
            .gives::<Upgraded>(schemas, "It has.")
            .problem(409, "This server cannot be replaced so, or is being replaced already.")
            .problem(422, "The new process could not take over: this one goes on."),
        Endpoint::get("/api/v1/support-bundle", "support_bundle")
            .summary("What whoever is to help needs to see, with secrets out")
            .gives::<SupportBundle>(schemas, "Texts by their names."),
        Endpoint::get("/api/v1/webhooks", "webhooks")
            .summary("Webhooks, and how deliveries go")
            .gives::<WebhooksPage>(schemas, "All of them."),
        Endpoint::post("/api/v1/webhooks/{name}/test", "webhook_test")
            .summary("Sends a test event to a webhook")
            .parameter(path_parameter("name", "The webhook's name."))
            .takes::<NoBody>(schemas, false)
            .gives::<WebhookTested>(schemas, "What came of it.")
            .problem(404, "There is no such webhook."),
    ]
}

fn overriding(schemas: &mut Schemas) -> Vec<Endpoint> {
    vec![
        Endpoint::get("/api/v1/overrides", "overrides")
            .summary("What operators say over health")
            .gives::<OverridesPage>(schemas, "All there is."),
        Endpoint::post("/api/v1/overrides", "override")
            .summary("Drains members, or forces them up or down")
            .takes::<OverrideRequest>(schemas, true)
            .gives::<OverrideDone>(schemas, "It is kept and in force, or planned.")
            .problem(404, "The target matches nothing.")
            .problem(409, "A safety rule forbids it (`broken` has them), or it changed meanwhile."),
        Endpoint::post("/api/v1/overrides/clear", "override_clear")
            .summary("Takes back what was said of exactly a target")
            .takes::<ClearRequest>(schemas, true)
            .gives::<OverrideDone>(schemas, "It is taken back.")
            .problem(404, "Nothing is said of exactly that target.")
            .problem(409, "A safety rule forbids it (`broken` has them), or it changed meanwhile."),
    ]
}

fn thinking(schemas: &mut Schemas) -> Vec<Endpoint> {
    vec![
        Endpoint::post("/api/v1/simulate", "simulate")
            .summary("How answers would move, were sites lost or members overridden")
            .takes::<SimulateRequest>(schemas, false)
            .gives::<Simulation>(schemas, "How they would.")
            .problem(404, "There is no such datacenter.")
            .problem(503, "Another simulation runs, or this one takes too long."),
    ]
}

fn string() -> RefOr<Schema> {
    Schema::from(ObjectBuilder::new().schema_type(Type::String).build()).into()
}

fn path_parameter(name: &str, what: &str) -> ParameterBuilder {
    ParameterBuilder::new()
        .name(name)
        .parameter_in(ParameterIn::Path)
        .required(Required::True)
        .description(Some(what))
        .schema(Some(string()))
        .example(Some("shop.gslb.example.com".into()))
}
