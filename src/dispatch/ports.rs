//! What a worker works with.

use std::sync::Arc;

use crate::ports::{CampaignStore, Clock, CommandBus, EventBus, RequestQueue, Speech, Telephony};

/// What a worker works with.
pub struct Ports {
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Requests on their way in.
    pub queue: Arc<dyn RequestQueue>,
    /// The waiting room.
    pub store: Arc<dyn CampaignStore>,
    /// Events on their way out.
    pub events: Arc<dyn EventBus>,
    /// Commands on their way in.
    pub commands: Arc<dyn CommandBus>,
    /// Legs.
    pub telephony: Arc<dyn Telephony>,
    /// Text made audible.
    pub speech: Arc<dyn Speech>,
}
