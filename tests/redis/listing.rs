//! Requests on their lists: also those that other versions of the program have written, and among many.

use std::time::Instant;

use robocall::conformance::store::scene::*;
use robocall::model::RequestStatus;
use robocall::ports::store::*;

use crate::{RedisWorld, server};
use robocall::conformance::store::StoreWorld as _;

/// What a version that knew no lists leaves behind: records that name none.
const FORGET: &str = "
  for _, key in ipairs(redis.call('KEYS', ARGV[1] .. ':{bank}:list:*')) do redis.call('DEL', key) end
  for _, key in ipairs(redis.call('KEYS', ARGV[1] .. ':{bank}:r:*')) do
    if redis.call('TYPE', key).ok == 'hash' and redis.call('HEXISTS', key, 'x') == 1 then
      local record = cmsgpack.unpack(redis.call('HGET', key, 'x'))
      record.ls, record.lm = nil, nil
      redis.call('HSET', key, 'x', cmsgpack.pack(record))
    end
  end";

/// What such a version drops stays on the lists of others.
const DROP: &str = "
  redis.call('DEL', ARGV[1] .. ':{bank}:r:' .. ARGV[2])
  redis.call('SREM', ARGV[1] .. ':{bank}:requests', ARGV[2])";

async fn names(store: &Store, statuses: Option<&[RequestStatus]>) -> Vec<String> {
    let statuses = statuses.map(|statuses| statuses.iter().copied().collect());
    let mut filter = RequestFilter { statuses, after: None };
    let mut names = Vec::new();
    loop {
        let page = store.requests(&organisation("bank"), &filter, 100).await.unwrap();
        names.extend(page.requests.iter().map(|request| request.summary.request_id.to_string()));
        if page.next.is_none() {
            return names;
        }
        filter.after = page.next;
    }
}

#[tokio::test]
async fn requests_that_another_version_has_written_are_listed_when_somebody_asks() {
    let world = RedisWorld::new();
    let store = world.store();
    for number in 0..600 {
        submit(&store, header(&format!("r{number}")), number % 2).await;
        world.advance(secs(1)).await;
    }
    store.open_request(&header("half").into(), totals(1)).await.unwrap();
    let before = names(&store, None).await;
    assert_eq!(before.len(), 600);
    let mut other = redis::Client::open(server::shared().url()).unwrap().get_connection().unwrap();
    let run = |script: &str, other: &mut redis::Connection, hash: &str| {
        redis::Script::new(script).arg(&world.prefix).arg(hash).invoke::<()>(other).unwrap();
    };
    run(FORGET, &mut other, "");
    assert_eq!(names(&store, Some(&[RequestStatus::Completed])).await.len(), 300);
    assert_eq!(names(&store, None).await, before, "in the order in which they were accepted");
    assert_eq!(names(&store, Some(&[RequestStatus::Submitted])).await.len(), 300);

    let gone = call("r400", 0).to_string();
    run(DROP, &mut other, gone.split('-').next().unwrap());
    let after = names(&store, None).await;
    assert_eq!((after.len(), after.contains(&"r400".to_owned())), (599, false));
    for list in ["completed", "submitted", "loading"] {
        let key = format!("{}:{{bank}}:list:{list}", world.prefix);
        let listed: usize = redis::cmd("ZCARD").arg(key).query(&mut other).unwrap();
        assert_eq!(
            listed,
            match list {
                "completed" => 299,
                "submitted" => 300,
                _ => 1,
            },
            "{list}"
        );
    }
    store.control(&key("r1"), Control::Pause, None).await.unwrap();
    assert_eq!(names(&store, Some(&[RequestStatus::Paused])).await, ["r1"]);
}

#[expect(clippy::disallowed_methods, reason = "a measurement of the real server")]
fn now() -> Instant {
    Instant::now()
}

/// Not a test: how long a page takes among many. `cargo test --test redis -- --ignored --nocapture a_page_among_many`.
#[tokio::test]
#[ignore = "a measurement"]
async fn a_page_among_many() {
    let world = RedisWorld::new();
    let store = world.store();
    let mut cursors = vec![None];
    for number in 1..=10_000 {
        submit(&store, header(&format!("r{number}")), 1).await;
        if [100, 1_000, 10_000].contains(&number) {
            let began = now();
            let mut pages = 0;
            let mut filter = RequestFilter::default();
            cursors.clear();
            loop {
                let page = store.requests(&organisation("bank"), &filter, 50).await.unwrap();
                pages += 1;
                cursors.push(filter.after);
                filter.after = page.next;
                if page.next.is_none() {
                    break;
                }
            }
            println!("{number} requests: {:?} a page of 50 the first time", began.elapsed() / pages);
            for which in [0, cursors.len() / 2, cursors.len() - 1] {
                let filter = RequestFilter { statuses: None, after: cursors[which] };
                let began = now();
                for _ in 0..20 {
                    store.requests(&organisation("bank"), &filter, 50).await.unwrap();
                }
                println!("{number} requests: {:?} page {which}", began.elapsed() / 20);
            }
        }
    }
    let large = 1_000_000;
    let header = header("large");
    store.open_request(&header.into(), totals(large)).await.unwrap();
    for number in 0..large / 1_000 {
        let chunk = chunk(number * 1_000..(number + 1) * 1_000);
        store.load_chunk(&key("large"), 0, number, &chunk).await.unwrap();
    }
    store.seal(&key("large"), 0).await.unwrap();
    for from in [0, 1_000, 500_000, 999_000] {
        let began = now();
        let calls = store.calls(&key("large"), from, 1_000).await.unwrap();
        println!("{} calls from {from} on: {:?}", calls.len(), began.elapsed());
    }
}
