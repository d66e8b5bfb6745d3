// `npm run demo`: the main job of the broker on real input. `npm run demo -- webhook`: that of the webhook, on a real
// kube-apiserver. Each prints what was asked, what came back and why, and exits 0 only if every assertion held.
const [which = 'broker', ...more] = process.argv.slice(2)
if (more.length > 0 || (which !== 'broker' && which !== 'webhook')) {
  console.error('usage: npm run demo [-- broker|webhook]')
  process.exitCode = 2
} else if (which === 'webhook') {
  const { playWebhookDemo } = await import('./webhook/demo.ts')
  process.exitCode = await playWebhookDemo()
} else {
  const { playBrokerDemo } = await import('./broker/demo.ts')
  process.exitCode = await playBrokerDemo()
}
