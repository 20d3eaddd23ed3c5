//! What people note about a call: how it went, and whom they talked with.

use serde::{Deserialize, Serialize};

use sha2::{Digest as _, Sha256};

use super::{CallId, DispositionName, KeyLabel, Private, RequestId, Timestamp};

/// Something noted about a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CallNote {
    /// How it went; what was noted before is forgotten.
    Disposition(AgentDisposition),
    /// Whom it was with; what is not said stays as it was.
    Customer(CustomerFlags),
}

impl CallNote {
    /// What is noted, as events name it.
    pub const fn name(&self) -> &'static str {
        match self {
            CallNote::Disposition(_) => "disposition",
            CallNote::Customer(_) => "customerFlag",
        }
    }

    /// A hash of what is noted, and about which call; who notes it and when are left out.
    pub fn fingerprint(&self, call: CallId) -> [u8; 32] {
        let said = match self {
            CallNote::Disposition(AgentDisposition { disposition, notes, callback, by: _, at: _ }) => {
                format!("{:?}", (disposition.as_str(), notes.as_ref().map(|remark| &*remark.0), callback))
            }
            CallNote::Customer(flags) => format!("{flags:?}"),
        };
        Sha256::digest(format!("{call} {} {said}", self.name())).into()
    }
}

/// All that is noted about a call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CallNotes {
    /// How it went.
    pub disposition: Option<AgentDisposition>,
    /// Whom it was with.
    pub customer: CustomerFlags,
}

impl CallNotes {
    /// Notes something more.
    pub fn add(&mut self, note: &CallNote) {
        match note {
            CallNote::Disposition(disposition) => self.disposition = Some(disposition.clone()),
            CallNote::Customer(flags) => self.customer.merge(*flags),
        }
    }
}

/// How a call went, as whoever handled it says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AgentDisposition {
    /// One of the organisation's own names for it.
    pub disposition: DispositionName,
    /// What else is to be known.
    pub notes: Option<Remark>,
    /// The request that calls back.
    pub callback: Option<RequestId>,
    /// Who noted it.
    pub by: KeyLabel,
    /// When.
    pub at: Timestamp,
}

/// Whom a call was with; null: nobody has said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct CustomerFlags {
    /// They are who they say.
    pub verified_customer: Option<bool>,
    /// They mean harm.
    pub bad_actor: Option<bool>,
    /// They have been talked with before.
    pub repeat_customer: Option<bool>,
}

impl CustomerFlags {
    /// Takes over what others say; the rest stays.
    pub fn merge(&mut self, others: Self) {
        self.verified_customer = others.verified_customer.or(self.verified_customer);
        self.bad_actor = others.bad_actor.or(self.bad_actor);
        self.repeat_customer = others.repeat_customer.or(self.repeat_customer);
    }
}

/// What somebody wrote about a call: people's affairs, hidden in logs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Remark(Private);

impl Remark {
    /// Most characters of one.
    pub const LONGEST: usize = 4_000;
}

/// A remark that is too long, or holds what cannot be shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("notes have at most 4000 characters, and no control characters but tabs and ends of lines")]
pub struct RemarkError;

impl std::str::FromStr for Remark {
    type Err = RemarkError;
    fn from_str(text: &str) -> Result<Self, RemarkError> {
        let hides = |c: char| c.is_control() && !matches!(c, '\n' | '\r' | '\t');
        let fits = text.chars().count() <= Self::LONGEST && !text.contains(hides);
        if fits { Ok(Self(text.into())) } else { Err(RemarkError) }
    }
}

impl std::ops::Deref for Remark {
    type Target = str;
    fn deref(&self) -> &str {
        &self.0
    }
}

impl<'de> Deserialize<'de> for Remark {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        <std::borrow::Cow<'de, str>>::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl schemars::JsonSchema for Remark {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Remark".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({"type": "string", "maxLength": Self::LONGEST})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remarks_are_bounded_and_show_nothing_in_logs() {
        let longest = "é".repeat(Remark::LONGEST);
        assert_eq!(longest.parse::<Remark>().as_deref(), Ok(&*longest));
        assert!("two\nlines,\ta tab".parse::<Remark>().is_ok());
        for bad in [&*format!("{longest}e"), "a bell\u{7}", "\u{1b}[2J"] {
            assert_eq!(bad.parse::<Remark>(), Err(RemarkError), "{bad:?}");
            let json = serde_json::Value::from(bad).to_string();
            assert!(serde_json::from_str::<Remark>(&json).is_err());
        }
        assert!(!format!("{:?}", "owes money".parse::<Remark>()).contains("money"));
    }

    #[test]
    fn what_is_not_said_of_a_customer_stays() {
        let mut flags = CustomerFlags { verified_customer: Some(true), bad_actor: None, repeat_customer: Some(false) };
        flags.merge(CustomerFlags { repeat_customer: Some(true), ..CustomerFlags::default() });
        flags.merge(CustomerFlags { bad_actor: Some(false), ..CustomerFlags::default() });
        let [yes, no] = [Some(true), Some(false)];
        assert_eq!(flags, CustomerFlags { verified_customer: yes, bad_actor: no, repeat_customer: yes });
    }
}
