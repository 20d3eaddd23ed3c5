//! Requests of one that follow from a call: with its flow, its limits and its hours.

use serde_json::{Map, Value};

use super::Api;
use super::answer::Refusal;
use super::calls::absent;
use crate::model::request::WindowZone;
use crate::model::{CallId, CallingWindow, Destination, EventFilter, Phone, RequestHeader, RequestId};
use crate::ports::store::RequestKey;
use crate::request::{CallRequestDocument, CallingWindowDocument, DestinationDocument, Flag, HookDocument, Weekday};

/// A call that another follows from.
pub(super) struct Earlier {
    call: CallId,
    header: std::sync::Arc<RequestHeader>,
    /// Whom it was with.
    pub person: Destination,
}

impl Earlier {
    /// A call of a request.
    pub async fn find(api: &Api, key: &RequestKey, call: CallId) -> Result<Self, Refusal> {
        let header = api.request(key).await?.header;
        let found = api.ask(api.ports.store.calls(key, call.index(), 1)).await?;
        let found = found.into_iter().find(|found| found.destination.index == call.index());
        let (Some(header), Some(found)) = (header, found) else { return Err(Refusal::not_found(absent(call))) };
        Ok(Self { call, header, person: found.destination })
    }

    /// The same person again, with all that flows say of them.
    pub fn same_person(&self, phone: Phone) -> DestinationDocument {
        let person = &self.person;
        let properties = person.properties.iter();
        DestinationDocument {
            caller: person.caller,
            properties: properties.map(|(name, value)| (name.to_string(), Value::from(&**value))).collect(),
            external_id: person.external_id.as_deref().map(str::to_owned),
            time_zone: person.time_zone.as_deref().map(str::to_owned),
            ..DestinationDocument::of(phone)
        }
    }

    /// A request of one that follows from it.
    pub fn followed_by(
        &self,
        name: RequestId,
        destination: DestinationDocument,
    ) -> Result<CallRequestDocument, Refusal> {
        let header = &self.header;
        let flow: Map<String, Value> = serde_json::from_str(&header.flow).map_err(|error| {
            tracing::error!(request = %header.id, %error, "a flow was frozen by another version");
            Refusal::unavailable("the flow was frozen by another version of this program")
        })?;
        let hooks = header.hooks.iter().map(|hook| HookDocument {
            url: hook.url.to_string(),
            events: hook.events.iter().filter_map(|event| event.parse::<EventFilter>().ok()).collect(),
        });
        Ok(CallRequestDocument {
            caller: header.caller,
            enable_call_recording: Some(Flag(header.recording)),
            ring_timeout_secs: u32::try_from(header.ring_timeout.as_secs()).ok(),
            max_call_duration_secs: u32::try_from(header.max_call_duration.as_secs()).ok(),
            calling_window: header.calling_window.as_ref().map(window),
            machine_detection: Some(header.machine_detection),
            priority: Some(header.priority),
            hooks: hooks.collect(),
            parent_id: Some(self.call.to_string()),
            ..CallRequestDocument::of_one(name, destination, flow)
        })
    }
}

/// Hours as they are written.
fn window(window: &CallingWindow) -> CallingWindowDocument {
    use Weekday::{Fri, Mon, Sat, Sun, Thu, Tue, Wed};
    let days = [Mon, Tue, Wed, Thu, Fri, Sat, Sun].into_iter().enumerate();
    let opens = |day: usize| window.days & 1 << day != 0;
    let hour = |minutes: u16| format!("{:02}:{:02}", minutes / 60, minutes % 60);
    CallingWindowDocument {
        time_zone: match &window.time_zone {
            WindowZone::Named(name) => name.to_string(),
            WindowZone::Recipient => "recipient".to_owned(),
        },
        days: Some(days.filter(|(day, _)| opens(*day)).map(|(_, day)| day).collect()),
        from: hour(window.from_minute),
        to: hour(window.to_minute),
    }
}
