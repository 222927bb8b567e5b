/** Keeps the line on top true: the visitor script does nothing for browsers that ask not to be tracked. */
if (navigator.globalPrivacyControl || navigator.doNotTrack === '1') {
  const line = document.querySelector('.live');
  line.textContent = 'Your browser asks not to be tracked, so nothing is sent.';
  line.classList.add('still');
}
