//! Commands to any worker, and orders to one.

use std::sync::Arc;
use std::time::Duration;

use robocall::adapters::amqp::{AmqpCommandBus, ClientError};
use robocall::callflow::call::Refusal;
use robocall::command::{Command, CommandKind, CommandReply};
use robocall::model::{AttemptId, CallId, OrganisationId};
use robocall::ports::store::{Held, Token};
use robocall::ports::{CommandBus, Incoming, Order};

use crate::scene;
use crate::scene::{bank, soon, worker};

/// How long a client waits for an answer.
const BOUND: Duration = Duration::from_secs(30);

fn pause() -> CommandKind {
    CommandKind::Pause("r-1".parse().unwrap())
}

fn call() -> CallId {
    CallId::new(&bank(), &"r-1".parse().unwrap(), 0)
}

fn given(organisation: &OrganisationId, id: &str, kind: &CommandKind) -> Command {
    let actor = "crm".parse().ok();
    Command { id: id.into(), organisation: organisation.clone(), actor, expect: None, trace: None, kind: kind.clone() }
}

async fn command(bus: &AmqpCommandBus, name: &str) -> Command {
    match soon(bus.next(&worker(name))).await {
        Some(Incoming::Command(command)) => command,
        other => panic!("not a command: {other:?}"),
    }
}

fn order(scene: &scene::Scene, command: Command) -> Order {
    let held = Held {
        organisation: command.organisation.clone(),
        request: "r-1".parse().unwrap(),
        attempt: AttemptId { call: call(), claim: 2 },
        token: Token(7),
    };
    Order { command, held, not_after: scene.clock.now() + Duration::from_secs(2) }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_gives_a_command_that_the_queue_refuses_hears_so_and_not_that_nobody_answered() {
    let scene = scene();
    let (_connection, channel) = scene.channel().await;
    scene::refuses_soon(&channel, &scene.settings.names.commands()).await;
    let client = scene.ready().await;
    let mut refused = None;
    for number in 0..50 {
        let given = given(&bank(), &format!("c-{number}"), &pause());
        refused = soon(client.command(&given, Duration::from_secs(1))).await.err();
        if !matches!(refused, Some(ClientError::Unanswered(_))) {
            break;
        }
    }
    assert_eq!(refused, Some(ClientError::Full));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_is_taken_by_one_worker_and_answered() {
    let scene = scene();
    let (client, bus) = (scene.ready().await, scene.broker().commands(worker("w")));
    let asked = tokio::spawn(async move { client.command(&given(&bank(), "c-1", &pause()), BOUND).await });
    let taken = command(&bus, "w").await;
    assert_eq!(taken, given(&bank(), "c-1", &pause()));
    soon(bus.answer(&taken, CommandReply::Done)).await;
    assert_eq!(soon(asked).await.unwrap(), Ok(CommandReply::Done));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_given_twice_is_carried_out_once() {
    let scene = scene();
    let (client, bus) = (scene.ready().await, Arc::new(scene.broker().commands(worker("w"))));
    let (first, second) =
        tokio::join!(async { client.command(&given(&bank(), "c-1", &pause()), BOUND).await }, async {
            let taken = command(&bus, "w").await;
            soon(bus.answer(&taken, CommandReply::Done)).await;
            taken
        },);
    assert_eq!((first, &*second.id), (Ok(CommandReply::Done), "c-1"));
    let (mine, kind) = (bank(), pause());
    // Answered while the bus looks for more; what comes out of it next is another organisation's. In a task of its own: half-way
    // through an answer it holds the channel that the next one needs.
    let looking = Arc::clone(&bus);
    let looking = tokio::spawn(async move { looking.next(&worker("w")).await });
    assert_eq!(soon(client.command(&given(&mine, "c-1", &kind), BOUND)).await, Ok(CommandReply::Done));
    assert!(!looking.is_finished(), "carried out twice");
    let other: OrganisationId = "shop".parse().unwrap();
    let theirs = given(&other, "c-1", &kind);
    let taking = async {
        let Some(Incoming::Command(taken)) = looking.await.unwrap() else { panic!("the bus is closed") };
        assert_eq!(taken.organisation, other);
        bus.answer(&taken, CommandReply::NotFound).await;
    };
    let (foreign, ()) = soon(async { tokio::join!(client.command(&theirs, BOUND), taking) }).await;
    assert_eq!(foreign, Ok(CommandReply::NotFound));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_command_under_an_id_that_is_taken_is_refused_whether_it_is_answered_or_not() {
    let scene = scene();
    let (client, bus) = (scene.ready().await, Arc::new(scene.broker().commands(worker("w"))));
    let resume = given(&bank(), "c-1", &CommandKind::Resume("r-1".parse().unwrap()));
    let refused = Ok(CommandReply::Refused(Refusal::IdTaken));
    let listening = async {
        let taken = command(&bus, "w").await;
        // The other comes while this one is not answered. It is not heard of here: the bus answers it while it waits. In a task
        // of its own: half-way through an answer it holds the channel that the next one needs.
        let waiting = Arc::clone(&bus);
        let mut nothing = tokio::spawn(async move { waiting.next(&worker("w")).await });
        tokio::select! {
            other = client.command(&resume, BOUND) => assert_eq!(other, refused),
            incoming = &mut nothing => panic!("carried out: {incoming:?}"),
        }
        soon(bus.answer(&taken, CommandReply::Done)).await;
        tokio::select! {
            other = client.command(&resume, BOUND) => assert_eq!(other, refused),
            incoming = &mut nothing => panic!("carried out: {incoming:?}"),
        }
    };
    let pause = given(&bank(), "c-1", &pause());
    let (first, ()) = tokio::join!(client.command(&pause, BOUND), soon(listening));
    assert_eq!(first, Ok(CommandReply::Done));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_reaches_its_worker_only_and_the_worker_answers_the_client() {
    let scene = scene();
    let client = scene.ready().await;
    let taker = scene.broker().commands(worker("taker"));
    // An organisation that is called like the orders is only an organisation.
    let organisation: OrganisationId = "worker".parse().unwrap();
    let asked = tokio::spawn({
        let organisation = organisation.clone();
        async move { client.command(&given(&organisation, "c-1", &CommandKind::HangUp(call())), BOUND).await }
    });
    let taken = command(&taker, "taker").await;
    assert_eq!(taken.organisation, organisation);
    let owner = scene.broker().commands(worker("owner"));
    soon(scene.has_queue(&scene.settings.names.orders(&worker("owner")))).await;
    let order = order(&scene, taken);
    soon(taker.forward(&worker("owner"), order.clone())).await;
    assert_eq!(soon(owner.next(&worker("owner"))).await, Some(Incoming::Order(order.clone())));
    soon(owner.answer(&order.command, CommandReply::Done)).await;
    assert_eq!(soon(asked).await.unwrap(), Ok(CommandReply::Done));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_says_which_trace_it_is_a_part_of_and_so_does_the_order_that_it_becomes() {
    const TRACE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let scene = scene();
    let (client, bus) = (scene.ready().await, scene.broker().commands(worker("w")));
    let (_connection, channel) = scene.channel().await;
    let none = lapin::types::FieldTable::default;
    // One that hears all commands, too, and one of a worker that stands still.
    let exclusive = lapin::options::QueueDeclareOptions { exclusive: true, ..Default::default() };
    let all = soon(channel.queue_declare("".into(), exclusive, none())).await.unwrap().name().clone();
    let (exchange, bind) = (scene.settings.names.commands(), lapin::options::QueueBindOptions::default());
    soon(channel.queue_bind(all.clone(), exchange.as_str().into(), "#".into(), bind, none())).await.unwrap();
    let orders = scene.settings.names.orders(&worker("still"));
    let durable = lapin::options::QueueDeclareOptions::durable();
    soon(channel.queue_declare(orders.as_str().into(), durable, none())).await.unwrap();
    let trace_in = async |queue: &str| {
        let got = channel.basic_get(queue.into(), lapin::options::BasicGetOptions::default());
        let got = soon(got).await.unwrap().expect("a message");
        got.properties.headers().as_ref().and_then(|headers| headers.inner().get("traceparent").cloned())
    };

    let traced = Command { trace: TRACE.parse().ok(), ..given(&bank(), "c-1", &CommandKind::HangUp(call())) };
    let sent = traced.clone();
    let asked = tokio::spawn(async move { client.command(&sent, BOUND).await });
    let taken = command(&bus, "w").await;
    assert_eq!(taken, traced);
    let written = Some(lapin::types::AMQPValue::LongString(TRACE.into()));
    assert_eq!(trace_in(all.as_str()).await, written);
    soon(bus.forward(&worker("still"), order(&scene, taken))).await;
    assert_eq!(trace_in(&orders).await, written);
    let owner = scene.broker().commands(worker("owner"));
    soon(scene.has_queue(&scene.settings.names.orders(&worker("owner")))).await;
    soon(bus.forward(&worker("owner"), order(&scene, traced.clone()))).await;
    let Some(Incoming::Order(found)) = soon(owner.next(&worker("owner"))).await else { panic!("an order") };
    assert_eq!(found.command.trace, traced.trace);
    asked.abort();

    // What cannot be read is none, and the command one like any other.
    let mut headers = none();
    headers.insert("traceparent".into(), lapin::types::AMQPValue::LongString(TRACE[..54].into()));
    let (properties, body) = (lapin::BasicProperties::default().with_headers(headers), br#"{"requestId":"r-1"}"#);
    let options = lapin::options::BasicPublishOptions::default();
    soon(channel.basic_publish(exchange.as_str().into(), "bank.pause".into(), options, body, properties))
        .await
        .unwrap();
    let untraced = tokio::select! {
        biased;
        taken = command(&bus, "w") => taken,
        taken = command(&owner, "owner") => taken,
    };
    assert_eq!((untraced.kind, untraced.trace), (pause(), None));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_to_a_worker_that_is_gone_is_answered_with_adopting() {
    let scene = scene();
    let (client, bus) = (scene.ready().await, scene.broker().commands(worker("taker")));
    let asked =
        tokio::spawn(async move { client.command(&given(&bank(), "c-1", &CommandKind::HangUp(call())), BOUND).await });
    let taken = command(&bus, "taker").await;
    soon(bus.forward(&worker("nobody"), order(&scene, taken))).await;
    assert_eq!(soon(asked).await.unwrap(), Ok(CommandReply::Adopting));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_that_its_worker_does_not_fetch_expires() {
    let scene = scene();
    let _client = scene.ready().await;
    let (_connection, channel) = scene.channel().await;
    // The queue of a worker that stands still.
    let name = scene.settings.names.orders(&worker("still"));
    let durable = lapin::options::QueueDeclareOptions::durable();
    let queue = channel.queue_declare(name.as_str().into(), durable, lapin::types::FieldTable::default());
    soon(queue).await.unwrap();
    let bus = scene.broker().commands(worker("w"));
    let given = Command {
        id: "c-1".into(),
        organisation: bank(),
        actor: None,
        expect: None,
        trace: None,
        kind: CommandKind::HangUp(call()),
    };
    soon(bus.forward(&worker("still"), order(&scene, given))).await;
    let waiting = async || {
        let passive = lapin::options::QueueDeclareOptions::default().passive();
        let queue = channel.queue_declare(name.as_str().into(), passive, lapin::types::FieldTable::default());
        queue.await.unwrap().message_count()
    };
    assert_eq!(soon(waiting()).await, 1);
    soon(async { while waiting().await > 0 {} }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_command_is_answered_with_what_is_wrong_and_dropped() {
    let scene = scene();
    let (client, bus) = (scene.ready().await, scene.broker().commands(worker("w")));
    let (_connection, channel) = scene.channel().await;
    let options = lapin::options::BasicConsumeOptions { no_ack: true, ..Default::default() };
    let none = lapin::types::FieldTable::default();
    let mut answers = channel.basic_consume("amq.rabbitmq.reply-to".into(), "".into(), options, none).await.unwrap();
    let properties =
        lapin::BasicProperties::default().with_reply_to("amq.rabbitmq.reply-to".into()).with_correlation_id("7".into());
    let (exchange, options) = (scene.settings.names.commands(), lapin::options::BasicPublishOptions::default());
    let sent = channel.basic_publish(exchange.as_str().into(), "bank.explode".into(), options, b"{}", properties);
    soon(sent).await.unwrap();
    let asked = tokio::spawn(async move { client.command(&given(&bank(), "c-1", &pause()), BOUND).await });
    let taken = command(&bus, "w").await;
    assert_eq!(taken.kind, pause(), "it is not in the way of the next");
    let answer = soon(futures_util::StreamExt::next(&mut answers)).await.unwrap().unwrap();
    let said: serde_json::Value = serde_json::from_slice(&answer.data).unwrap();
    assert_eq!(said["status"], "invalid");
    assert!(said["message"].as_str().unwrap().contains("explode"), "{said}");
    assert_eq!(answer.properties.correlation_id().as_ref().map(|id| id.as_str()), Some("7"));
    soon(bus.answer(&taken, CommandReply::Unavailable)).await;
    assert_eq!(soon(asked).await.unwrap(), Ok(CommandReply::Unavailable));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_that_its_worker_leaves_unanswered_goes_to_another() {
    let scene = scene();
    let client = scene.ready().await;
    let first = scene.broker().commands(worker("first"));
    let asked = tokio::spawn(async move { client.command(&given(&bank(), "c-1", &pause()), BOUND).await });
    let taken = command(&first, "first").await;
    let second = scene.broker().commands(worker("second"));
    first.release();
    assert_eq!(command(&second, "second").await, taken);
    soon(second.answer(&taken, CommandReply::Done)).await;
    assert_eq!(soon(asked).await.unwrap(), Ok(CommandReply::Done));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_that_no_worker_takes_is_unanswered() {
    let scene = scene();
    let client = scene.ready().await;
    let bound = Duration::from_millis(200);
    assert_eq!(soon(client.command(&given(&bank(), "c", &pause()), bound)).await, Err(ClientError::Unanswered(bound)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_for_which_there_is_no_place_in_time_is_not_sent() {
    const PLACES: usize = 16;
    let mut scene = scene();
    scene.settings.on_their_way = PLACES;
    let client = scene.ready().await;
    // Nobody takes any: those that were sent hold their places until their time is over, and the rest waits for them.
    let bound = Duration::from_secs(10);
    let flood = futures_util::future::join_all((0..PLACES + 7).map(|number| {
        let client = &client;
        async move { client.command(&given(&bank(), &format!("c-{number}"), &pause()), bound).await }
    }));
    let answers = soon(flood).await;
    let unsent = answers.iter().filter(|answer| matches!(answer, Err(ClientError::Unavailable(_)))).count();
    let unanswered = answers.iter().filter(|answer| matches!(answer, Err(ClientError::Unanswered(_)))).count();
    assert_eq!((unanswered, unsent), (PLACES, 7), "{answers:?}");
    // Their places are free again.
    let bus = scene.broker().commands(worker("w"));
    let asked = async { client.command(&given(&bank(), "later", &pause()), BOUND).await };
    let taking = async {
        loop {
            let taken = command(&bus, "w").await;
            bus.answer(&taken, CommandReply::Done).await;
            if &*taken.id == "later" {
                return;
            }
        }
    };
    assert_eq!(soon(async { tokio::join!(asked, taking).0 }).await, Ok(CommandReply::Done));
}
