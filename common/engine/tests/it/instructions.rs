//! Instructions by name.

use engine::Instructions;

#[test]
fn every_name_leads_back_and_others_are_refused_with_those_that_there_are() {
    let available = Instructions::available();
    assert_eq!(available[0], Instructions::detect());
    for set in &available {
        assert_eq!(set.to_string().parse(), Ok(*set));
    }
    let error = "sse9".parse::<Instructions>().unwrap_err().to_string();
    assert!(error.starts_with("this processor cannot compute with \"sse9\": it has "), "{error}");
    assert!(error.ends_with("plain"), "{error}");
}
