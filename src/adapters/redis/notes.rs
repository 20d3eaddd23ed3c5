//! What people note about calls: beside the calls' own records, and gone with them.

use super::codec::{from_json, unreadable};
use super::intake::{first_call, unexpected};
use super::reply::Reply;
use super::script::Ops;
use super::store::RedisStore;
use crate::model::note::{CallNote, CallNotes, CustomerFlags};
use crate::ports::store::{Given, RequestKey};
use crate::ports::{StoreError, StoreResult};

/// How a flag is kept; nothing if nobody has said.
fn flag(said: Option<bool>) -> &'static str {
    said.map_or("", |yes| if yes { "1" } else { "0" })
}

fn read_flag(list: &mut Reply) -> StoreResult<Option<bool>> {
    match &*list.text()? {
        "" => Ok(None),
        "1" => Ok(Some(true)),
        "0" => Ok(Some(false)),
        other => Err(unexpected(other)),
    }
}

fn read_notes(mut answer: Reply) -> StoreResult<CallNotes> {
    match answer.text()?.as_str() {
        "missing" => return Err(StoreError::NotFound),
        "taken" => return Err(StoreError::IdTaken),
        _ => {}
    }
    let mut noted = answer.list()?;
    let disposition = match &*noted.bytes()? {
        b"" => None,
        text => Some(from_json(text, "a disposition")?),
    };
    let (verified_customer, bad_actor) = (read_flag(&mut noted)?, read_flag(&mut noted)?);
    let customer = CustomerFlags { verified_customer, bad_actor, repeat_customer: read_flag(&mut noted)? };
    Ok(CallNotes { disposition, customer })
}

impl RedisStore {
    pub(super) async fn write_note(
        &self,
        key: &RequestKey,
        index: u32,
        note: &CallNote,
        given: Option<&Given>,
    ) -> StoreResult<CallNotes> {
        let ops = Ops::none().op("annotate").request(first_call(key)).int(index);
        let ops = match note {
            CallNote::Disposition(disposition) => {
                let text = serde_json::to_vec(disposition).map_err(unreadable)?;
                ops.bytes(&text).text("").text("").text("")
            }
            CallNote::Customer(CustomerFlags { verified_customer, bad_actor, repeat_customer }) => {
                ops.text("").text(flag(*verified_customer)).text(flag(*bad_actor)).text(flag(*repeat_customer))
            }
        };
        let actor = given.and_then(|given| given.actor.as_ref()).map_or("", |actor| actor.as_str());
        let ops = ops.text(given.map_or("", |given| &given.id)).text(actor).text(note.name());
        let ops = ops.bytes(&note.fingerprint(first_call(key).sibling(index)));
        read_notes(self.send(&key.organisation, ops).await?.list()?)
    }

    pub(super) async fn read_notes(&self, key: &RequestKey, index: u32) -> StoreResult<CallNotes> {
        let ops = Ops::none().op("notes").request(first_call(key)).int(index);
        read_notes(self.send(&key.organisation, ops).await?.list()?)
    }
}
