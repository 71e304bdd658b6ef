//! The page of an answer: why a model says what it says of a user, for somebody who runs the shop.

mod events;
mod inside;
#[cfg(test)]
mod tests;

use crate::chart::{Svg, figure};
use crate::html::Html;
use crate::number::{counted, per_cent, plain, seconds};
use crate::page::{Page, Section, figures};

/// All that the page shows; figures come from where they are computed.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Explained {
    /// Who.
    pub user: String,
    /// The moment of the question in words; empty where the log has no times.
    pub at: String,
    /// The task, as `--task` calls it.
    pub task: String,
    /// How far it looks ahead, in seconds.
    pub horizon: Option<f64>,
    /// The item or kind that is asked about, and whether it is what came.
    pub target: Option<(String, bool)>,
    /// The answer.
    pub answer: f64,
    /// Its logit, and that of the baseline.
    pub logits: [f64; 2],
    /// Whether the baseline is a mean event, rather than zeros.
    pub mean_baseline: bool,
    /// What attributions fail to add up to.
    pub residual: f64,
    /// Rank correlation of attribution and leaving out.
    pub agreement: Option<f64>,
    /// The events that were read.
    pub events: Vec<Event>,
    /// Names and attributions of what is known at the moment.
    pub moment: Vec<(String, f64)>,
    /// Layers, gate by gate: the mean over units at each event.
    pub gates: Vec<LayerGates>,
    /// Units one by one.
    pub units: Vec<UnitGates>,
    /// Why there are no gates.
    pub note: Option<String>,
    /// Half-lives of the units of each layer, in events.
    pub half_lives: Vec<Vec<f64>>,
    /// Units that follow something.
    pub followed: Vec<Follower>,
    /// Users and events that units were followed over.
    pub looked_at: (u64, u64),
}

/// An event.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Event {
    /// When, in words.
    pub time: String,
    /// What kind of event.
    pub kind: String,
    /// Of which item.
    pub item: String,
    /// The answer right after it.
    pub answer: f64,
    /// The probability of what came next.
    pub came: Option<f64>,
    /// Its share by integrated gradients.
    pub attribution: f64,
    /// What the logit loses without it.
    pub occlusion: Option<f64>,
}

/// What a gate is called, and how far it is open at each event.
pub type Gate = (String, Vec<f64>);

/// Gates of a unit.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct UnitGates {
    /// What it is called.
    pub name: String,
    /// Its gates.
    pub gates: Vec<Gate>,
}

/// A unit that follows something.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Follower {
    /// What it is called.
    pub unit: String,
    /// What it follows, in words.
    pub what: String,
    /// The correlation where it was found.
    pub correlation: f64,
    /// The same on other users; none where it is not defined there.
    pub again: Option<f64>,
}

/// Gates of a layer.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct LayerGates {
    /// What the layer is called.
    pub name: String,
    /// Its gates: means over its units.
    pub gates: Vec<Gate>,
    /// Length of its memory.
    pub norm: Vec<f64>,
}

/// A picture of the page: the name of its file, its title, its caption, and how it is drawn.
pub struct Picture<'a> {
    /// The file that it is beside the page.
    pub file: &'static str,
    title: String,
    caption: String,
    draw: Box<dyn Fn(f64) -> Svg + 'a>,
}

impl Picture<'_> {
    fn html(&self) -> Html {
        figure(&self.title, &self.caption, crate::chart::FULL, &self.draw)
    }

    /// The picture as a file of its own.
    pub fn svg(&self) -> String {
        (self.draw)(crate::chart::FULL).file(&self.title)
    }
}

impl Explained {
    /// Whether the answer is a probability.
    fn is_share(&self) -> bool {
        !["count", "value", "time-to-next"].contains(&self.task.as_str())
    }

    /// An answer as one says it.
    fn say(&self, answer: f64) -> String {
        match self.task.as_str() {
            "time-to-next" => seconds(answer),
            _ if self.is_share() => per_cent(answer),
            _ => plain(answer),
        }
    }

    /// What the answer is about.
    fn question(&self) -> String {
        let within = self.horizon.map_or(String::new(), |s| format!(" within {}", seconds(s)));
        let target = self.target.as_ref().map_or("", |target| target.0.as_str());
        match self.task.as_str() {
            "purchase" => format!("chance of a purchase{within}"),
            "churn" => format!("chance of no event at all{within}"),
            "count" => format!("orders expected{within}"),
            "value" => format!("money expected{within}"),
            "time-to-next" => "time expected until the next event".to_owned(),
            "next-event" => format!("chance that the next event is of the kind {target}"),
            _ => format!("chance that the next item is {target}"),
        }
    }
}

/// The pictures of the page, which also stand beside it as files.
pub fn pictures(told: &Explained) -> Vec<Picture<'_>> {
    let mut all = vec![events::answers(told), events::shares(told)];
    all.extend(inside::gates(told));
    all.extend(inside::memory(told));
    all
}

/// The page.
pub fn page(told: &Explained) -> String {
    let mut page = Page::new(format!("Why: {}", told.user), "Explanation of one answer");
    page.push(head(told));
    let all = pictures(told);
    let picture = |file: &str| {
        all.iter().find(|picture| picture.file == file).map_or(Html::new(), Picture::html)
    };
    page.push(events::section(&picture));
    page.push(events::carried(told, &picture));
    page.push(inside::section(told, &picture));
    page.push(notes(told));
    page.render()
}

fn head(told: &Explained) -> Section {
    let mut section = Section::new("answer", "");
    let mut large = vec![(told.say(told.answer), told.question())];
    large.push((plain(told.events.len() as f64), "events read".to_owned()));
    if let Some(agreement) = told.agreement {
        let words = "agreement of the two ways of looking for reasons (1: the same order)";
        large.push((plain((100.0 * agreement).round() / 100.0), words.to_owned()));
    }
    section.push(figures(&large));
    let when = match told.at.as_str() {
        "" => String::new(),
        at => format!(" as of {at}"),
    };
    let mut sentence =
        format!("The model puts the {}{when} at {}", told.question(), told.say(told.answer));
    match &told.target {
        Some((_, true)) => sentence += "; this is what came next",
        Some((_, false)) => {
            sentence += "; this is what was asked for, or what it holds most probable"
        }
        None => (),
    }
    section.say(sentence + ".");
    let known =
        told.moment.iter().map(|(name, own)| (format!("known: {}", name.replace('_', " ")), *own));
    let events = told.events.iter().map(|event| (events::called(event), event.attribution));
    if let Some((most, own)) = events.chain(known).max_by(|a, b| a.1.total_cmp(&b.1))
        && own > 0.0
    {
        section.say(format!("What speaks for it most: {most}."));
    }
    section
}

fn notes(told: &Explained) -> Section {
    let mut section = Section::new("reading", "How to read this");
    let baseline = match told.mean_baseline {
        true => "an event that is the mean of all events of the log",
        false => "an event of which nothing at all enters",
    };
    section.say(format!(
        "Bars are integrated gradients (Sundararajan, Taly, Yan 2017): how the answer grows while the inputs \
         go, all together, from {baseline} to what they really are. {}, in which shares can be added: one unit \
         multiplies {}.",
        match told.task.as_str() {
            "count" | "value" => "They are in units of the answer's logarithm",
            "time-to-next" => "They are in units of the logit, ln p/(1 − p), of the answer's share of the horizon",
            _ => "They are in units of the logit, ln p/(1 − p)",
        },
        match told.task.as_str() {
            "count" | "value" => "the answer by 2.7",
            _ => "the odds by 2.7",
        }
    ));
    section.say(format!(
        "All bars together are {}, the difference between {} for this history and {} for one made of such \
         events only; {:.1e} of it is lost to arithmetic.",
        plain(told.logits[0] - told.logits[1] - told.residual),
        plain(told.logits[0]),
        plain(told.logits[1]),
        told.residual.abs()
    ));
    section.say(
        "“Without it” asks something else: what the model would say, had the event not happened. Where both \
         agree, an event matters to the model. Neither says what made a person buy: a model sees what \
         comes before what, not why.",
    );
    section.note(format!(
        "Units were followed over {} and {}.",
        counted(told.looked_at.0, "row"),
        counted(told.looked_at.1, "event")
    ));
    section
}
