/** What went wrong, read aloud at once; nothing while all is well. */
export function ProblemText({ text }: { text: string }) {
  if (!text) return null;
  return (
    <p class="problem" role="alert">
      {text}
    </p>
  );
}
