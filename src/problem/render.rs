//! Problems as people read them: title, excerpt with marks, notes, help.

use std::ops::Range;

use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{
    AnnotationKind, Element, Group, Level, Origin, Renderer, Snippet, normalize_untrusted_str,
};

use super::{Place, Problem, Problems, Severity, Sources};

/// An excerpt's lines are not shown when they are longer than this together:
/// a file may be one line of megabytes.
const EXCERPT_BYTES_MAX: usize = 16 * 1024;
/// Places of one file this close share an excerpt, in lines.
const SHARED_EXCERPT_LINES: u32 = 30;
/// Width that lines are cut to.
const WIDTH: usize = 120;

impl Problems {
    /// All problems as text, a blank line behind each, and how many were left out.
    ///
    /// `color` adds terminal escapes. Texts must be in `sources` for excerpts
    /// ([`Sources::wanted`]); without, the file is named.
    pub fn render(&self, sources: &Sources, color: bool) -> String {
        let renderer = if color { Renderer::styled() } else { Renderer::plain() };
        let renderer = renderer.decor_style(DecorStyle::Ascii).term_width(WIDTH);
        let mut out = String::new();
        for problem in self.iter() {
            let text = renderer.render(&[group(problem, sources)]);
            for line in text.lines() {
                out.push_str(line.trim_end());
                out.push('\n');
            }
            out.push('\n');
        }
        let omitted = self.errors_omitted() + self.warnings_omitted();
        if omitted > 0 {
            out.push_str(&format!("({omitted} more not shown)\n\n"));
        }
        out
    }
}

fn group<'a>(problem: &Problem, sources: &'a Sources) -> Group<'a> {
    let level = match problem.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let title = level.primary_title(clean(&problem.title)).id(problem.code);
    let mut group = Group::with_title(title);
    let mut rest = problem.places.as_slice();
    let mut primary = true;
    while let Some(first) = rest.first() {
        let shared = rest.iter().take_while(|next| shares_excerpt(first, next, sources)).count();
        let (now, later) = rest.split_at(shared.max(1));
        group = group.element(excerpt(now, primary, sources));
        (rest, primary) = (later, false);
    }
    for note in &problem.notes {
        group = group.element(Level::NOTE.message(clean(note)));
    }
    for help in &problem.help {
        group = group.element(Level::HELP.message(clean(help)));
    }
    group
}

fn shares_excerpt(first: &Place, next: &Place, sources: &Sources) -> bool {
    let lines = (sources.line_column(first), sources.line_column(next));
    match lines {
        (Some(a), Some(b)) => {
            first.file == next.file && a.line.abs_diff(b.line) <= SHARED_EXCERPT_LINES
        }
        _ => false,
    }
}

/// The lines of `places` (all of one file) with marks; the first is the main mark.
fn excerpt<'a>(places: &[Place], primary: bool, sources: &'a Sources) -> Element<'a> {
    let name = clean(&sources.name(places[0].file));
    let spans: Vec<(Range<usize>, &Place)> =
        places.iter().filter_map(|place| Some((sources.span(place)?, place))).collect();
    let Some((window, line)) = window(&spans, places, sources) else {
        return origin(name, &places[0], sources).into();
    };
    let text = sources.text(places[0].file).unwrap_or_default();
    let mut snippet = Snippet::source(&text[window.clone()]).path(name).line_start(line as usize);
    for (index, (span, place)) in spans.into_iter().enumerate() {
        let kind =
            if primary && index == 0 { AnnotationKind::Primary } else { AnnotationKind::Context };
        // A span may begin at a line's end, of which "\r\n" has two bytes.
        let start = span.start.min(window.end);
        let end = span.end.clamp(start, window.end);
        let annotation = kind.span(start - window.start..end - window.start);
        snippet = snippet.annotation(if place.label.is_empty() {
            annotation
        } else {
            annotation.label(clean(&place.label))
        });
    }
    snippet.into()
}

/// Whole lines that hold all spans, and the number of the first; none when
/// there is no text or too much of it.
fn window(
    spans: &[(Range<usize>, &Place)],
    places: &[Place],
    sources: &Sources,
) -> Option<(Range<usize>, u32)> {
    let file = places[0].file;
    let start = spans.iter().map(|(span, _)| span.start).min()?;
    let end = spans.iter().map(|(span, _)| span.start).max()?;
    let first = sources.line_column_at(file, start)?.line;
    let last = sources.line_column_at(file, end)?.line;
    let window = sources.line_range(file, first)?.start..sources.line_range(file, last)?.end;
    (window.len() <= EXCERPT_BYTES_MAX).then_some((window, first))
}

fn origin(name: String, place: &Place, sources: &Sources) -> Origin<'static> {
    let origin = Origin::path(name);
    match sources.line_column(place) {
        Some(at) => origin.line(at.line as usize).char_column(at.column as usize),
        None => origin,
    }
}

/// Text from a file or a peer must not steer the terminal.
fn clean(text: &str) -> String {
    normalize_untrusted_str(text)
}
