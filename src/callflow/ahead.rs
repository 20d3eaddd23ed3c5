//! What may be heard next in a flow, so that it can be made ready while something else is heard.

use super::program::{Action, MessageIndex, Program, StepIndex};

impl Program {
    /// The messages that may be heard first once a step is over, each once, in the order of the flow.
    pub fn next_messages(&self, step: StepIndex) -> Vec<MessageIndex> {
        let Some(step) = self.steps.get(usize::from(step)) else { return Vec::new() };
        let mut messages: Vec<MessageIndex> = match &step.action {
            Action::Play { .. } | Action::Transfer(_) => {
                step.next.and_then(|next| self.first_heard(next)).into_iter().collect()
            }
            Action::Gather(gather) => {
                let keys = gather.branches.iter().map(|(_, first)| *first);
                keys.chain(gather.default).filter_map(|first| self.first_heard(first)).collect()
            }
            Action::Hangup | Action::OptOut { .. } => Vec::new(),
        };
        messages.sort_unstable();
        messages.dedup();
        messages
    }

    /// The first message of a flow that goes on with a step, unless it ends before.
    fn first_heard(&self, step: StepIndex) -> Option<MessageIndex> {
        let mut at = step;
        loop {
            let step = self.steps.get(usize::from(at))?;
            match &step.action {
                Action::Play { message } => return Some(*message),
                Action::Gather(gather) => return Some(gather.message),
                Action::OptOut { message } => return *message,
                Action::Hangup => return None,
                Action::Transfer(transfer) => match transfer.message {
                    Some(message) => return Some(message),
                    // Nothing is said before it; what follows is heard if it reaches nobody. It stands further back.
                    None => at = step.next.filter(|next| *next > at)?,
                },
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::callflow::compile;
    use crate::reading::Problems;

    /// For each step, the numbers of the messages that may be heard after it.
    fn nexts(steps: Value) -> Vec<Vec<MessageIndex>> {
        let program = compile(&json!({"steps": steps}), "callFlow", &mut Problems::default()).unwrap();
        (0..=program.steps.len()).map(|step| program.next_messages(StepIndex::try_from(step).unwrap())).collect()
    }

    fn play() -> Value {
        json!({"name": "play", "message": {"msg": "hello"}})
    }

    fn flow(steps: Value) -> Value {
        json!({"steps": steps})
    }

    fn transfer(message: bool, on_failure: &str) -> Value {
        let mut step = json!({"name": "transfer", "destination": "Ext:1", "onFailure": on_failure});
        if message {
            step["message"] = json!({"msg": "one moment"});
        }
        step
    }

    #[test]
    fn after_a_message_comes_the_next_one_or_nothing() {
        assert_eq!(nexts(json!([play(), play(), {"name": "hangup"}])), [vec![1], vec![], vec![], vec![]]);
        assert_eq!(nexts(json!([play(), {"name": "optOut", "message": {"msg": "bye"}}])), [vec![1], vec![], vec![]]);
        assert!(nexts(json!([play(), {"name": "optOut"}])).iter().all(Vec::is_empty));
    }

    #[test]
    fn after_a_gather_comes_any_of_its_branches() {
        let gather = json!({"name": "gather", "message": {"msg": "press"}, "branches": [
            {"digit": "1", "callFlow": flow(json!([play(), play()]))},
            {"digit": "2", "default": true, "callFlow": flow(json!([transfer(false, "continue")]))},
            {"digit": "3", "callFlow": flow(json!([{"name": "hangup"}]))},
        ]});
        // Messages: 0 the question, 1 and 2 of key 1, 3 behind the gather, which a transfer to nobody leads to.
        assert_eq!(nexts(json!([gather, play()])), [vec![1, 3], vec![2], vec![3], vec![3], vec![], vec![], vec![]]);
    }

    #[test]
    fn a_transfer_has_a_message_of_its_own_and_may_go_on() {
        assert_eq!(nexts(json!([play(), transfer(true, "continue"), play()])), [vec![1], vec![2], vec![], vec![]]);
        assert_eq!(nexts(json!([play(), transfer(true, "hangup"), play()])), [vec![1], vec![], vec![], vec![]]);
        assert!(nexts(json!([play(), transfer(false, "hangup"), play()])).iter().all(Vec::is_empty));
    }
}
