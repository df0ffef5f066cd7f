// A field that searches when somebody has stopped typing for a moment.
import { Field } from "./fields";
import type { JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";

const TYPING = 250;

export function Search(props: {
  label: string;
  placeholder: string;
  value: string;
  onSearch: (value: string) => void;
}): JSX.Element {
  const [text, setText] = useState(props.value);
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined);
  useEffect(() => setText(props.value), [props.value]);
  useEffect(() => () => clearTimeout(timer.current), []);
  return (
    <Field
      label={props.label}
      hideLabel
      type="search"
      placeholder={props.placeholder}
      value={text}
      onInput={(value) => {
        setText(value);
        clearTimeout(timer.current);
        timer.current = setTimeout(() => props.onSearch(value), TYPING);
      }}
    />
  );
}
