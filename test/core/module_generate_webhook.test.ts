// The shape of the generated ValidatingWebhookConfiguration. That kube-apiserver asks by it is in test/e2e/webhook_server.test.ts.
import t from 'tap'
import { webhookConfiguration } from '../../src/core/module/generate/webhook_configuration.ts'
import type { WebhookConfigurationOptions } from '../../src/core/module/generate/webhook_configuration.ts'

const OPTIONS: WebhookConfigurationOptions = {
  name: 'sallyport-webhook',
  target: { namespace: 'sallyport-system', service: 'sallyport-webhook', port: 443 },
  caPem: undefined,
  certManager: undefined,
  failurePolicy: 'Fail',
  timeoutSeconds: 5,
  ledgerWriters: ['system:serviceaccount:sallyport-system:sallyport-webhook'],
}

function webhooksOf(options: WebhookConfigurationOptions): readonly ReturnType<typeof Object>[] {
  return Object(webhookConfiguration(options)).webhooks
}

t.test('every write to what is judged is asked about, in every version, and nothing by labels', (t) => {
  const webhooks = webhooksOf(OPTIONS)
  for (const webhook of webhooks) {
    t.match(webhook, {
      failurePolicy: 'Fail',
      sideEffects: 'None',
      matchPolicy: 'Equivalent',
      timeoutSeconds: 5,
      admissionReviewVersions: ['v1'],
    })
    t.notOk('namespaceSelector' in webhook || 'objectSelector' in webhook, webhook.name)
    t.ok(webhook.name.split('.').length >= 3, webhook.name)
    for (const rule of webhook.rules) t.same(rule.apiVersions, ['*'])
  }
  const asked = webhooks.flatMap(({ rules }) =>
    rules.flatMap(({ resources, operations }: ReturnType<typeof Object>) =>
      resources.map((resource: string) => `${resource} ${operations.join(',')}`),
    ),
  )
  t.same(asked, [
    'modules CREATE,UPDATE,DELETE',
    'modules/status CREATE,UPDATE,DELETE',
    'versions CREATE,UPDATE,DELETE',
    'versions/status CREATE,UPDATE,DELETE',
    'depots CREATE,UPDATE,DELETE',
    'providers CREATE,UPDATE,DELETE',
    'providers/status CREATE,UPDATE,DELETE',
    'groupbindings CREATE,UPDATE,DELETE',
    'modulepolicies CREATE,UPDATE,DELETE',
    'publishedversions CREATE,UPDATE,DELETE',
    'namespaces UPDATE,DELETE',
    'customresourcedefinitions UPDATE,DELETE',
  ])
  t.end()
})

t.test('the webhook is where the Service is, or where the address says', (t) => {
  const [byService] = webhooksOf(OPTIONS)
  t.same(byService.clientConfig, {
    service: { namespace: 'sallyport-system', name: 'sallyport-webhook', port: 443, path: '/review' },
  })
  const url = 'https://10.0.0.9:8443/review'
  const [byUrl] = webhooksOf({ ...OPTIONS, target: { url }, caPem: 'PEM' })
  t.same(byUrl.clientConfig, { url, caBundle: btoa('PEM') })
  t.end()
})

t.test('cert-manager is told whose CA to write in', (t) => {
  const { metadata } = Object(webhookConfiguration({ ...OPTIONS, certManager: 'ns/cert' }))
  t.same(metadata.annotations, { 'cert-manager.io/inject-ca-from': 'ns/cert' })
  t.notOk('annotations' in Object(webhookConfiguration(OPTIONS)).metadata)
  t.end()
})

function ledger(writers: readonly string[]): unknown {
  return webhooksOf({ ...OPTIONS, ledgerWriters: writers }).find(({ name }) => name.startsWith('ledger.'))
}

t.test('only who writes the ledger is not asked about', (t) => {
  t.match(ledger(['a"b']), {
    matchConditions: [{ expression: '!(request.userInfo.username in ["a\\"b"])' }],
  })
  t.notOk('matchConditions' in Object(ledger([])))
  t.end()
})
