//! The live view on a terminal.

use std::time::{Duration, Instant};

use ratatui::Frame;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyModifiers};
use ratatui::layout::{Constraint, Flex, Layout, Rect};
use ratatui::style::{Modifier, Style};
use ratatui::text::Line;
use ratatui::widgets::{Block, Borders, Paragraph};

use super::metrics::Metrics;
use super::page::{Page, Section};
use super::scrape::Sample;
use crate::failure::Failure;

/// Longest wait for a key press before the view checks whether an update is due.
const POLL_INTERVAL: Duration = Duration::from_millis(250);

/// Minimum height of the first section: its title, its header and one row.
const MIN_HEIGHT: u16 = 3;

/// Shows the metrics, updated every `interval`, until the user quits. While the server does not
/// respond, the last metrics stay on the screen.
///
/// # Errors
/// If there is no terminal to draw on.
pub(crate) fn run(
    url: &str,
    interval: Duration,
    first: Sample,
    scrape: &dyn Fn() -> Result<Sample, Failure>,
) -> Result<(), Failure> {
    let mut terminal = ratatui::try_init().map_err(|error| {
        Failure::usage(
            format!("cannot draw on the terminal: {error}"),
            "Print the metrics as text with --once.",
        )
    })?;
    let result = update(&mut terminal, url, interval, first, scrape);
    ratatui::restore();
    result
}

fn update(
    terminal: &mut ratatui::DefaultTerminal,
    url: &str,
    interval: Duration,
    first: Sample,
    scrape: &dyn Fn() -> Result<Sample, Failure>,
) -> Result<(), Failure> {
    let (mut before, mut scraped_at) = (first, Instant::now());
    let mut page = Page { title: format!("{url}: collecting"), sections: Vec::new() };
    loop {
        terminal.draw(|frame| draw(frame, &page))?;
        let next = scraped_at + interval;
        while let Some(remaining) =
            next.checked_duration_since(Instant::now()).filter(|remaining| !remaining.is_zero())
        {
            if event::poll(remaining.min(POLL_INTERVAL))? {
                if quits(&event::read()?) {
                    return Ok(());
                }
                // The terminal may have been resized.
                terminal.draw(|frame| draw(frame, &page))?;
            }
        }
        let now = Instant::now();
        match scrape() {
            Ok(sample) => {
                page = Page::new(&Metrics::new(&before, &sample, now - scraped_at, url));
                before = sample;
            }
            Err(_) => page.title = format!("{url} is not responding; showing the last metrics"),
        }
        scraped_at = now;
    }
}

fn quits(event: &Event) -> bool {
    let Event::Key(key) = event else { return false };
    let control = key.modifiers.contains(KeyModifiers::CONTROL);
    matches!(key.code, KeyCode::Char('q') | KeyCode::Esc)
        || control && key.code == KeyCode::Char('c')
}

fn draw(frame: &mut Frame<'_>, page: &Page) {
    let [head, body] =
        Layout::vertical([Constraint::Length(1), Constraint::Min(0)]).areas(frame.area());
    let title = Line::from(format!("{}   press q to quit", page.title))
        .style(Style::new().add_modifier(Modifier::BOLD));
    frame.render_widget(title, head);
    // The first section has the full width. The others are in two columns of about equal height,
    // which need the fewest lines if the tallest sections are placed first.
    let (first, others) = page.sections.split_at(page.sections.len().min(1));
    let mut columns: [Vec<&Section>; 2] = Default::default();
    let mut others: Vec<&Section> = others.iter().collect();
    others.sort_by_key(|section| std::cmp::Reverse(height(section)));
    for section in others {
        let [left, right] = columns.each_ref().map(|column| height_of(column));
        columns[usize::from(right < left)].push(section);
    }
    let below = columns.iter().map(|column| height_of(column)).max().unwrap_or_default();
    let above = first.first().map_or(0, height);
    let above = above.min(body.height.saturating_sub(below).max(MIN_HEIGHT));
    let [top, bottom] =
        Layout::vertical([Constraint::Length(above), Constraint::Min(0)]).areas(body);
    if let Some(section) = first.first() {
        render(frame, section, top);
    }
    let areas = Layout::horizontal([Constraint::Fill(1); 2]).spacing(1).split(bottom);
    for (column, area) in columns.iter().zip(areas.iter()) {
        let heights = column.iter().map(|section| Constraint::Length(height(section)));
        let areas = Layout::vertical(heights).flex(Flex::Start).split(*area);
        for (section, area) in column.iter().zip(areas.iter()) {
            render(frame, section, *area);
        }
    }
}

/// Returns the number of lines of a section: its rows, and its title.
fn height(section: &Section) -> u16 {
    u16::try_from(section.rows.len()).unwrap_or(u16::MAX).saturating_add(1)
}

fn height_of(column: &[&Section]) -> u16 {
    column.iter().map(|section| height(section)).sum()
}

/// Draws a section. Its last line says how many lines have no space.
fn render(frame: &mut Frame<'_>, section: &Section, area: Rect) {
    let text = section.text();
    let mut lines: Vec<Line<'_>> = text.lines().map(Line::from).collect();
    let space = usize::from(area.height.saturating_sub(1));
    if lines.len() > space && space > 0 {
        let hidden = lines.len() - (space - 1);
        lines.truncate(space - 1);
        lines.push(Line::from(format!("... and {hidden} more; enlarge the terminal")));
    }
    let block = Block::new().borders(Borders::TOP).title(section.name);
    frame.render_widget(Paragraph::new(lines).block(block), area);
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that panics has failed, as it should")]
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;

    use super::*;

    fn page(types: usize) -> Page {
        let pair = |name: &str, value: &str| vec![name.to_owned(), value.to_owned()];
        let quantiles = "p50 12.3 ms, p99 191 ms";
        let usage = "10000 of 10000  ##########";
        let requests = (0..types).map(|number| {
            let cells = ["1.5M", "100.5", "0.95 ms", "123 ms", "RATE_LIMITED"];
            std::iter::once(format!("Type{number}")).chain(cells.map(str::to_owned)).collect()
        });
        let heads = ["", "ok/s", "errors/s", "p50", "p99", "top error"].map(str::to_owned);
        let section = |name, rows| Section { name, rows };
        let rows = |names: &[&str], value: &str| {
            names.iter().map(|name| pair(name, value)).collect::<Vec<_>>()
        };
        Page {
            title: "user-server 0.1.0 at http://127.0.0.1:9464/metrics".to_owned(),
            sections: vec![
                section("requests", std::iter::once(heads.to_vec()).chain(requests).collect()),
                section("connections", rows(&["open", "accepted", "closed", "in flight"], usage)),
                section(
                    "hash pool",
                    rows(&["running", "queued", "queue time", "hash time", "rejected"], quantiles),
                ),
                section(
                    "emails",
                    rows(
                        &["queued", "oldest queued", "rate limited", "sent", "last attempt"],
                        "succeeded",
                    ),
                ),
                section("database", rows(&["status", "revocations", "log age"], "250 ms")),
                section(
                    "cache",
                    rows(&["lookups", "hit rate", "latency", "failed calls", "breaker"], quantiles),
                ),
            ],
        }
    }

    fn drawn(page: &Page) -> String {
        let mut terminal = Terminal::new(TestBackend::new(80, 24)).unwrap();
        terminal.draw(|frame| draw(frame, page)).unwrap();
        let buffer = terminal.backend().buffer();
        let rows = buffer.content.chunks(80);
        rows.map(|row| row.iter().map(|cell| cell.symbol()).collect::<String>() + "\n").collect()
    }

    #[test]
    fn a_terminal_of_80_columns_and_24_lines_shows_everything() {
        let screen = drawn(&page(6));
        for part in [
            "Type0",
            "Type5",
            "RATE_LIMITED",
            "rejected",
            "sent",
            "last attempt",
            "breaker",
            "in flight",
            "log age",
            "p99 191 ms",
            "10000 of 10000  ##########",
        ] {
            assert!(screen.contains(part), "{part}:\n{screen}");
        }
        assert!(!screen.contains("more"), "{screen}");
        // Each latency is in two columns, and none is cut off.
        assert_eq!(screen.matches("p99 191 ms").count(), 10, "{screen}");
    }

    #[test]
    fn what_has_no_space_is_counted() {
        let screen = drawn(&page(15));
        assert!(screen.contains("... and 10 more; enlarge the terminal"), "{screen}");
        assert!(screen.contains("breaker"), "{screen}");
    }
}
