/** An error message that screen readers announce at once; nothing for an empty text. */
export function ProblemText({ text }: { text: string }) {
  if (!text) return null;
  return (
    <p class="problem" role="alert">
      {text}
    </p>
  );
}
