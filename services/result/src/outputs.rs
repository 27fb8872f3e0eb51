//! The outputs of a session's execution as a notebook keeps them: what Jupyter's messages say, applied in their order.

use serde_json::{Value, json};

/// Builds a list of nbformat outputs from streams and messages, in order.
#[derive(Debug, Default)]
pub struct Outputs {
    list: Vec<Value>,
    /// The `display_id` of each output, where it has one.
    ids: Vec<Option<String>>,
    /// Everything so far goes when the next output comes.
    clear_later: bool,
}

impl Outputs {
    /// Text printed to `stdout` or `stderr`; a piece that follows its own stream goes on with it.
    pub fn stream(&mut self, name: &'static str, text: &str) {
        self.begin();
        if let Some(last) = self.list.last_mut()
            && last.get("output_type").and_then(Value::as_str) == Some("stream")
            && last.get("name").and_then(Value::as_str) == Some(name)
            && let Some(Value::String(printed)) = last.get_mut("text")
        {
            printed.push_str(text);
            return;
        }
        self.push(json!({ "output_type": "stream", "name": name, "text": text }), None);
    }

    /// A message about an output: a new one, a change of one, or that all are to go.
    pub fn message(&mut self, mut output: Value) {
        let id = output.pointer("/transient/display_id").and_then(Value::as_str).map(str::to_owned);
        if let Some(fields) = output.as_object_mut() {
            fields.remove("transient");
        }
        match output.get("output_type").and_then(Value::as_str) {
            Some("clear_output") if output.get("wait").and_then(Value::as_bool) == Some(true) => self.clear_later = true,
            Some("clear_output") => self.clear(),
            Some("update_display_data") => self.update(id.as_deref(), &output),
            _ => {
                self.begin();
                self.push(output, id);
            }
        }
    }

    pub fn into_list(self) -> Vec<Value> {
        self.list
    }

    fn begin(&mut self) {
        if self.clear_later {
            self.clear();
        }
    }

    fn clear(&mut self) {
        self.clear_later = false;
        self.list.clear();
        self.ids.clear();
    }

    fn push(&mut self, output: Value, id: Option<String>) {
        self.list.push(output);
        self.ids.push(id);
    }

    /// Every output of that id shows the new data.
    fn update(&mut self, id: Option<&str>, message: &Value) {
        let Some(id) = id else { return };
        for (output, own) in self.list.iter_mut().zip(&self.ids) {
            if own.as_deref() != Some(id) {
                continue;
            }
            for field in ["data", "metadata"] {
                if let (Some(fields), Some(new)) = (output.as_object_mut(), message.get(field)) {
                    fields.insert(field.to_owned(), new.clone());
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(id: Option<&str>, text: &str) -> Value {
        let mut output = json!({ "output_type": "display_data", "data": { "text/plain": text }, "metadata": {} });
        if let Some(id) = id {
            output["transient"] = json!({ "display_id": id });
        }
        output
    }

    #[test]
    fn pieces_of_a_stream_are_one_output_until_something_comes_between() {
        let mut outputs = Outputs::default();
        for (name, text) in [("stdout", "a"), ("stdout", "b"), ("stderr", "c"), ("stdout", "d")] {
            outputs.stream(name, text);
        }
        outputs.message(shown(None, "x"));
        outputs.stream("stdout", "e");
        let list = outputs.into_list();
        let texts: Vec<_> = list.iter().map(|output| output.get("text").and_then(Value::as_str)).collect();
        assert_eq!(texts, [Some("ab"), Some("c"), Some("d"), None, Some("e")]);
        assert_eq!(list[3], shown(None, "x"));
    }

    #[test]
    fn updates_change_what_is_there() {
        let mut outputs = Outputs::default();
        outputs.message(shown(Some("one"), "old"));
        outputs.message(shown(None, "other"));
        let mut update = shown(Some("one"), "new");
        update["output_type"] = "update_display_data".into();
        outputs.message(update);
        assert_eq!(outputs.into_list(), [shown(None, "new"), shown(None, "other")]);
    }

    #[test]
    fn clearing_waits_for_the_next_output_when_told_so() {
        let mut outputs = Outputs::default();
        outputs.stream("stdout", "gone");
        outputs.message(json!({ "output_type": "clear_output", "wait": false }));
        outputs.stream("stdout", "old");
        outputs.message(json!({ "output_type": "clear_output", "wait": true }));
        assert_eq!(outputs.list.len(), 1);
        outputs.message(shown(None, "new"));
        assert_eq!(outputs.into_list(), [shown(None, "new")]);
    }
}
