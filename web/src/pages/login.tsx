import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import { ApiProblem, messageOf } from "../api/problems";
import { login } from "../api/session";
import { Button } from "../design/basics";
import { Field } from "../design/fields";

export function LoginPage({ because }: { because: string }): JSX.Element {
  const [name, setName] = useState("admin");
  const [password, setPassword] = useState("");
  const [wrong, setWrong] = useState("");
  const [busy, setBusy] = useState(false);
  useEffect(() => {
    document.title = "Log in · MQTT broker";
  }, []);

  const submit = async (event: Event): Promise<void> => {
    event.preventDefault();
    setBusy(true);
    setWrong("");
    try {
      await login(name, password);
    } catch (error) {
      setWrong(reason(error));
      setBusy(false);
    }
  };

  return (
    <main class="outside">
      <form class="login card" onSubmit={(event) => void submit(event)}>
        <div>
          <img src="/icon.svg" alt="" width="40" height="40" />
          <h1>MQTT broker</h1>
          <p class="muted">Log in to see and steer it.</p>
        </div>
        {because && <p class="notice">{because}</p>}
        <Field label="Account" name="name" autocomplete="username" value={name} onInput={setName} required />
        <Field
          label="Password"
          name="password"
          type="password"
          autocomplete="current-password"
          value={password}
          onInput={setPassword}
          wrong={wrong}
          required
          autofocus
        />
        <Button type="submit" look="primary" disabled={busy}>
          {busy ? "Logging in …" : "Log in"}
        </Button>
        <p class="hint muted">The broker printed the first password once, when it was started for the first time.</p>
      </form>
    </main>
  );
}

function reason(error: unknown): string {
  if (error instanceof ApiProblem && error.status === 429) {
    return `Too many passwords were tried. Try again in ${error.retryAfter ?? 6} seconds.`;
  }
  return messageOf(error);
}
