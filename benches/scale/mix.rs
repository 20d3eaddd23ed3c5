//! Who calls: a few large organisations, some of middling size, many small ones; what each of them asks for.

use serde_json::{Value, json};

/// How large a world is.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    /// Organisations, each with its campaign.
    pub organisations: u32,
    /// Workers.
    pub workers: u32,
    /// Most calls each of them carries.
    pub capacity: usize,
    /// Telephony nodes.
    pub nodes: u32,
    /// Most legs each of them carries.
    pub legs: usize,
    /// Destinations for each slot.
    pub rounds: u32,
}

/// An organisation.
#[derive(Clone, Debug)]
pub struct Client {
    /// Its name.
    pub name: String,
    /// Calls it may have at a time.
    pub limit: u32,
    /// New dials a second, if that is bounded.
    pub a_second: Option<u32>,
    /// What it asks for.
    pub campaigns: Vec<Campaign>,
}

/// A request.
#[derive(Clone, Debug)]
pub struct Campaign {
    /// Its name.
    pub name: String,
    /// Its destinations.
    pub count: u32,
    /// 1 to 9.
    pub priority: u8,
    /// Whether whoever is engaged or does not answer is called once more.
    pub retries: bool,
}

/// What everybody is told: some twenty seconds.
const MESSAGE: &str = "Good morning. This is a reminder of your appointment tomorrow at nine in the morning. Please bring \
    the letter that we have sent you, and something that says who you are. If you cannot come, please call the number on the \
    letter before five this afternoon, so that somebody else may have your place. Thank you very much, and have a good day.";

/// One organisation in a hundred has fifty slots, one in ten five, the others one or two.
pub fn client(number: u32, rounds: u32) -> Client {
    let limit = match number {
        number if number % 100 == 50 => 50,
        number if number % 10 == 5 => 5,
        number => 1 + number % 2,
    };
    let campaign =
        |name: &str, count, priority| Campaign { name: name.to_owned(), count, priority, retries: number % 4 == 1 };
    let all = limit * rounds;
    let campaigns = if limit > 2 {
        vec![campaign("soon", all / 4, 9), campaign("masses", all - all / 4, 5)]
    } else {
        vec![campaign("only", all, 5)]
    };
    Client { name: format!("o{number}"), limit, a_second: (number % 50 == 25).then_some(1), campaigns }
}

impl Client {
    /// A campaign as it is submitted.
    pub fn body(&self, number: u32, campaign: &Campaign) -> Value {
        let phone = |index: u32| format!("+658{:07}", (u64::from(number) * 7_919 + u64::from(index)) % 10_000_000);
        let destinations: Vec<_> = (0..campaign.count).map(|index| json!({"phone": phone(index)})).collect();
        let mut body = json!({
            "requestId": campaign.name,
            "priority": campaign.priority,
            "destinations": destinations,
            "callFlow": {"steps": [{"name": "play", "message": {"msg": MESSAGE}}]},
        });
        if campaign.retries {
            body["retry"] = json!({"maxAttempts": 2, "on": ["busy", "unanswered"], "delaySecs": [60]});
        }
        body
    }
}
