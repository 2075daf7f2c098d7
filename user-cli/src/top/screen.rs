//! The view on a terminal, until somebody presses q.

use std::time::{Duration, Instant};

use ratatui::Frame;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyModifiers};
use ratatui::layout::{Constraint, Layout};
use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Text};
use ratatui::widgets::{Block, Paragraph};

use super::page::{Page, Part};
use super::scrape::Sample;
use crate::args::Top;
use crate::failure::Failure;

/// Looks again and again. A server that is away for a while is waited for.
pub(super) fn run(
    args: &Top,
    first: Sample,
    look: &dyn Fn() -> Result<Sample, Failure>,
) -> Result<(), Failure> {
    let mut terminal = ratatui::try_init().map_err(|error| {
        Failure::usage(
            format!("this is no terminal to draw on: {error}"),
            "--once prints the view as text.",
        )
    })?;
    let done = watch(&mut terminal, args, first, look);
    ratatui::restore();
    done
}

fn watch(
    terminal: &mut ratatui::DefaultTerminal,
    args: &Top,
    first: Sample,
    look: &dyn Fn() -> Result<Sample, Failure>,
) -> Result<(), Failure> {
    let place = args.metrics.to_string();
    let (mut before, mut seen) = (first, Instant::now());
    let mut page = Page { title: format!("{place}: looking"), parts: Vec::new() };
    loop {
        terminal.draw(|frame| draw(frame, &page))?;
        let next = seen + args.interval;
        while let Some(rest) =
            next.checked_duration_since(Instant::now()).filter(|rest| !rest.is_zero())
        {
            if event::poll(rest.min(Duration::from_millis(250)))? {
                let event = event::read()?;
                if ends(&event) {
                    return Ok(());
                }
                // Another size, for one, is drawn at once.
                terminal.draw(|frame| draw(frame, &page))?;
            }
        }
        let now = Instant::now();
        match look() {
            Ok(sample) => {
                page = Page::of(&before, &sample, now - seen, &place);
                before = sample;
            }
            Err(_) => page.title = format!("{place} does not answer; these are the last figures"),
        }
        seen = now;
    }
}

fn ends(event: &Event) -> bool {
    let Event::Key(key) = event else { return false };
    let control = key.modifiers.contains(KeyModifiers::CONTROL);
    matches!(key.code, KeyCode::Char('q') | KeyCode::Esc)
        || control && key.code == KeyCode::Char('c')
}

fn draw(frame: &mut Frame<'_>, page: &Page) {
    let [head, body] =
        Layout::vertical([Constraint::Length(1), Constraint::Min(0)]).areas(frame.area());
    let title = Line::from(format!("{}   q ends", page.title))
        .style(Style::new().add_modifier(Modifier::BOLD));
    frame.render_widget(title, head);
    // The requests take what they need, and the rest stands beside each other where there is room.
    let (first, rest) = page
        .parts
        .split_first()
        .map_or((&[][..], &[][..]), |(_, rest)| (page.parts.get(..1).unwrap_or_default(), rest));
    let height = |part: &Part| u16::try_from(part.rows.len()).unwrap_or(u16::MAX).saturating_add(2);
    let heights = first.iter().map(|part| Constraint::Length(height(part)));
    let pairs = rest
        .chunks(2)
        .map(|pair| Constraint::Length(pair.iter().map(height).max().unwrap_or_default()));
    let areas = Layout::vertical(heights.chain(pairs)).split(body);
    for (part, area) in first.iter().zip(areas.iter()) {
        frame.render_widget(widget(part), *area);
    }
    for (pair, area) in rest.chunks(2).zip(areas.iter().skip(first.len())) {
        let columns = Layout::horizontal([Constraint::Percentage(50), Constraint::Percentage(50)])
            .split(*area);
        for (part, area) in pair.iter().zip(columns.iter()) {
            frame.render_widget(widget(part), *area);
        }
    }
}

fn widget(part: &Part) -> Paragraph<'static> {
    Paragraph::new(Text::from(part.text())).block(Block::bordered().title(part.name))
}
