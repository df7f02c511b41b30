//! The page at `/`.

/// Says what is here; no figures, so that it cannot be wrong.
pub(super) const INDEX: &str = r#"<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Windrose</title>
<style>body{font:1rem/1.5 system-ui,sans-serif;max-width:40rem;margin:2rem auto;padding:0 1rem}
dt{margin-top:.75rem}</style>
<h1>Windrose</h1>
<p>The admin listener of this DNS server.
<dl>
<dt><a href="/healthz">/healthz</a><dd>200 while the process lives.
<dt><a href="/readyz">/readyz</a><dd>200 when it should be sent clients; else 503 and why.
<dt><a href="/metrics">/metrics</a><dd>For Prometheus.
<dt><a href="/api/v1/status">/api/v1/status</a><dd>What runs and how it is, as JSON.
<dt><a href="/api/v1/checks">/api/v1/checks</a><dd>Every probe and how it is.
<dt>/api/v1/events<dd>What happens, as a stream.
<dt>/api/v1/explain?name=…&amp;type=A&amp;client=…<dd>Why a client gets its answer.
<dt><a href="/api/v1/log">/api/v1/log</a><dd>What is logged; PUT sets it.
<dt><a href="/api/v1/webhooks">/api/v1/webhooks</a><dd>Who is told of events, and what became of it.
<dt>POST /api/v1/webhooks/…/test<dd>Sends a test to one.
<dt>POST /api/v1/failback<dd>Held members take part again.
<dt>POST /api/v1/limiter/release<dd>The losses that the limiter holds are true.
<dt>POST /api/v1/reload<dd>Loads the config anew.
</dl>
<p>With a token configured, <code>/api/</code> wants it: <code>Authorization: Bearer …</code>.
"#;
