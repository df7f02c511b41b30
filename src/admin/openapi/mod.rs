//! The OpenAPI document: every path, parameter, status and schema, for programs.
//!
//! [`endpoints`] says what each path takes and gives; schemas come from the types
//! themselves. A test holds the paths and the router together, and another one the
//! replies and their schemas. It must not know how anything is answered.

mod endpoints;

use std::collections::BTreeMap;
use std::sync::LazyLock;

use axum::body::Bytes;
use serde_json::Value;
use utoipa::openapi::path::{HttpMethod, Operation, OperationBuilder, Parameter, ParameterBuilder};
use utoipa::openapi::request_body::RequestBodyBuilder;
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{
    ComponentsBuilder, Content, HeaderBuilder, InfoBuilder, LicenseBuilder, OpenApi,
    OpenApiBuilder, Paths, Ref, RefOr, Required, ResponseBuilder,
};
use utoipa::{IntoParams, ToSchema};

use super::problem::{CONTENT_TYPE as PROBLEM, ProblemSchema};

const JSON: &str = "application/json";
const TOKEN: &str = "token";

/// The document as it is sent.
pub(super) fn document() -> Bytes {
    static DOCUMENT: LazyLock<Bytes> = LazyLock::new(|| {
        let mut document = serde_json::to_value(build()).unwrap_or_default();
        plain_words(&mut document);
        document.to_string().into()
    });
    DOCUMENT.clone()
}

fn build() -> OpenApi {
    let mut schemas = Schemas::default();
    schemas.add::<ProblemSchema>();
    let mut paths = Paths::new();
    for endpoint in endpoints::all(&mut schemas) {
        let (path, method) = (endpoint.path, endpoint.method.clone());
        paths.add_path_operation(path, vec![method], endpoint.operation());
    }
    let bearer = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .description(Some("The token in `[admin] token_file`; without one, none is asked for."));
    let components = ComponentsBuilder::new()
        .schemas_from_iter(schemas.0)
        .security_scheme(TOKEN, SecurityScheme::Http(bearer.build()));
    let info = InfoBuilder::new()
        .title("Windrose")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(endpoints::DESCRIPTION))
        .license(Some(LicenseBuilder::new().name(env!("CARGO_PKG_LICENSE")).build()));
    OpenApiBuilder::new()
        .info(info.build())
        .paths(paths)
        .components(Some(components.build()))
        .build()
}

/// Descriptions are written for rustdoc: links to items become their names.
fn plain_words(value: &mut Value) {
    match value {
        Value::Object(members) => {
            for (key, value) in members {
                match value {
                    Value::String(text) if key == "description" => *text = plain(text),
                    value => plain_words(value),
                }
            }
        }
        Value::Array(values) => values.iter_mut().for_each(plain_words),
        _ => {}
    }
}

/// "[`ChecksPage::next`](super::x)" → "`next`"
fn plain(text: &str) -> String {
    let mut plain = String::new();
    let mut rest = text;
    while let Some((before, link)) = rest.split_once("[`") {
        let Some((item, after)) = link.split_once("`]") else { break };
        let name = item.rsplit("::").next().unwrap_or(item);
        plain.push_str(before);
        plain.push_str(&format!("`{name}`"));
        rest = match after.strip_prefix('(') {
            Some(target) => target.split_once(')').map_or(after, |(_, after)| after),
            None => after,
        };
    }
    plain.push_str(rest);
    plain.replace('\n', " ")
}

//------------ Schemas --------------------------------------------------------

/// Schemas that the endpoints need, by name.
#[derive(Default)]
struct Schemas(BTreeMap<String, RefOr<Schema>>);

impl Schemas {
    /// Adds a type and all it is made of, and refers to it.
    fn add<T: ToSchema>(&mut self) -> Ref {
        let mut needed = Vec::new();
        T::schemas(&mut needed);
        self.0.extend(needed);
        self.0.insert(T::name().into_owned(), T::schema());
        Ref::from_schema_name(T::name())
    }
}

//------------ Endpoint -------------------------------------------------------

/// One path and method.
struct Endpoint {
    path: &'static str,
    method: HttpMethod,
    id: &'static str,
    summary: &'static str,
    parameters: Vec<Parameter>,
    request: Option<Ref>,
    /// Whether a request must have a body.
    body_required: bool,
    /// Status, what it says, content type, schema.
    replies: Vec<(u16, &'static str, &'static str, RefOr<Schema>)>,
    problems: Vec<(u16, &'static str)>,
}

impl Endpoint {
    fn new(method: HttpMethod, path: &'static str, id: &'static str) -> Endpoint {
        Endpoint {
            path,
            method,
            id,
            summary: "",
            parameters: Vec::new(),
            request: None,
            body_required: false,
            replies: Vec::new(),
            problems: Vec::new(),
        }
    }

    fn get(path: &'static str, id: &'static str) -> Endpoint {
        Endpoint::new(HttpMethod::Get, path, id)
    }

    fn post(path: &'static str, id: &'static str) -> Endpoint {
        Endpoint::new(HttpMethod::Post, path, id)
    }

    fn put(path: &'static str, id: &'static str) -> Endpoint {
        Endpoint::new(HttpMethod::Put, path, id)
    }

    fn summary(mut self, summary: &'static str) -> Endpoint {
        self.summary = summary;
        self
    }

    /// Takes the parameters of `T` after `?`.
    fn query<T: IntoParams>(mut self) -> Endpoint {
        self.parameters.extend(T::into_params(|| None));
        self.problem(400, "A parameter is wrong, unknown, missing or there twice.")
    }

    fn parameter(mut self, parameter: ParameterBuilder) -> Endpoint {
        self.parameters.push(parameter.build());
        self
    }

    /// Takes a `T` as JSON.
    fn takes<T: ToSchema>(mut self, schemas: &mut Schemas, required: bool) -> Endpoint {
        self.request = Some(schemas.add::<T>());
        self.body_required = required;
        self.problem(400, "The body is not what is asked for; the detail names the field.")
            .problem(415, "The body is not JSON.")
    }

    /// Gives a `T` as JSON.
    fn gives<T: ToSchema>(mut self, schemas: &mut Schemas, what: &'static str) -> Endpoint {
        self.replies.push((200, what, JSON, schemas.add::<T>().into()));
        self
    }

    /// Gives some JSON object.
    fn object(mut self, what: &'static str) -> Endpoint {
        let object = ObjectBuilder::new().schema_type(Type::Object).build();
        self.replies.push((200, what, JSON, Schema::from(object).into()));
        self
    }

    /// Gives a text of some content type.
    fn text(mut self, status: u16, what: &'static str, content_type: &'static str) -> Endpoint {
        let text = ObjectBuilder::new().schema_type(Type::String).build();
        self.replies.push((status, what, content_type, Schema::from(text).into()));
        self
    }

    /// May refuse with a problem document. Said twice, the first words stand.
    fn problem(mut self, status: u16, why: &'static str) -> Endpoint {
        if !self.problems.iter().any(|(known, _)| *known == status) {
            self.problems.push((status, why));
        }
        self
    }

    /// The operation, with what may happen to every request.
    fn operation(mut self) -> Operation {
        let is_api = self.path.starts_with("/api/");
        for (status, why, of_api) in endpoints::EVERYWHERE {
            if is_api || !of_api {
                self = self.problem(status, why);
            }
        }
        let mut operation = OperationBuilder::new()
            .operation_id(Some(self.id))
            .summary(Some(self.summary))
            .parameters((!self.parameters.is_empty()).then_some(self.parameters));
        if let Some(schema) = self.request {
            let required = if self.body_required { Required::True } else { Required::False };
            let body = RequestBodyBuilder::new()
                .content(JSON, Content::new(Some(schema)))
                .required(Some(required));
            operation = operation.request_body(Some(body.build()));
        }
        let mut responses: BTreeMap<u16, ResponseBuilder> = BTreeMap::new();
        let mut add = |status, words, content_type, content| {
            let known = responses.remove(&status);
            let response = known.unwrap_or_else(|| ResponseBuilder::new().description(words));
            responses.insert(status, response.content(content_type, content));
        };
        for (status, what, content_type, schema) in self.replies {
            add(status, what, content_type, Content::new(Some(schema)));
        }
        for (status, why) in self.problems {
            let problem = Ref::from_schema_name(ProblemSchema::name());
            add(status, why, PROBLEM, Content::new(Some(problem)));
        }
        for (status, mut response) in responses {
            if status == 401 {
                let scheme = HeaderBuilder::new().description(Some("The scheme: Bearer."));
                response = response.header("WWW-Authenticate", scheme.build());
            }
            operation = operation.response(status.to_string(), response.build());
        }
        let none: [&str; 0] = [];
        let security = match is_api {
            true => SecurityRequirement::new(TOKEN, none),
            false => SecurityRequirement::default(),
        };
        operation.security(security).build()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_of_rustdoc_become_names() {
        for (text, expected) in [
            ("[`ChecksPage::next`] of the page before.", "`next` of the page before."),
            ("in [`Status`](super::Status), and\n[`X`].", "in `Status`, and `X`."),
            ("a [link] and [`broken", "a [link] and [`broken"),
        ] {
            assert_eq!(plain(text), expected);
        }
    }
}
