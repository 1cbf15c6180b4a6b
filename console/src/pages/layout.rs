//! The frame of every page.

use crate::assets::PATHS;
use maud::{DOCTYPE, Markup, html};

/// A page of somebody who is not signed in, or of nobody in particular.
pub(crate) fn bare(title: &str, theme: &str, body: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" data-theme=(theme) {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) " · Tidegate" }
                link rel="icon" href=(PATHS.icon) type="image/svg+xml";
                link rel="stylesheet" href=(PATHS.css);
                script src=(PATHS.js) defer {}
            }
            body { main #main { (body) } }
        }
    }
}
