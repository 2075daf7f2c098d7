//! The live view on a terminal.

use std::time::{Duration, Instant};

use ratatui::Frame;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyModifiers};
use ratatui::layout::{Constraint, Layout};
use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Text};
use ratatui::widgets::{Block, Paragraph};

use super::metrics::Metrics;
use super::page::{Page, Section};
use super::scrape::Sample;
use crate::failure::Failure;

/// Longest wait for a key press before the view checks whether an update is due.
const POLL_INTERVAL: Duration = Duration::from_millis(250);

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
    // The first section has the full width, the others are in pairs side by side.
    let (first, others) = page.sections.split_at(page.sections.len().min(1));
    let height =
        |section: &Section| u16::try_from(section.rows.len()).unwrap_or(u16::MAX).saturating_add(2);
    let heights = first.iter().map(|section| Constraint::Length(height(section)));
    let pair_heights = others
        .chunks(2)
        .map(|pair| Constraint::Length(pair.iter().map(height).max().unwrap_or_default()));
    let areas = Layout::vertical(heights.chain(pair_heights)).split(body);
    for (section, area) in first.iter().zip(areas.iter()) {
        frame.render_widget(widget(section), *area);
    }
    for (pair, area) in others.chunks(2).zip(areas.iter().skip(first.len())) {
        let columns = Layout::horizontal([Constraint::Percentage(50), Constraint::Percentage(50)])
            .split(*area);
        for (section, area) in pair.iter().zip(columns.iter()) {
            frame.render_widget(widget(section), *area);
        }
    }
}

fn widget(section: &Section) -> Paragraph<'static> {
    Paragraph::new(Text::from(section.text())).block(Block::bordered().title(section.name))
}
