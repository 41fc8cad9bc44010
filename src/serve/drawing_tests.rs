use super::*;
use crate::serve::heads::ServedHead;

#[tokio::test]
async fn of_four_who_ask_at_once_for_two_places_two_get_one() {
    let sample = Arc::new(crate::sample::trained().expect("the sample head"));
    let head = Arc::new(ServedHead::new("sample", sample, true).expect("a head"));
    let drawing = Drawing::start(None, vec![Arc::clone(&head)], 2).expect("a thread");
    let begin = Instant::now();
    while !drawing.is_ready() {
        assert!(begin.elapsed() < Duration::from_secs(60), "{:?}", drawing.fault());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // For files, so that the cost of a frame on this machine does not matter.
    let options = SessionOptions { pace: Pace::Unpaced, background: BackgroundType::default() };
    let open = || drawing.open(&head, options);
    let (a, b, c, d) = tokio::join!(open(), open(), open(), open());
    let asked = [a, b, c, d];
    assert_eq!(asked.iter().filter(|answer| answer.is_ok()).count(), 2);
    assert_eq!(drawing.sessions(), 2);
    assert_eq!(drawing.figures().refused, 2);
    drawing.stop();
}
