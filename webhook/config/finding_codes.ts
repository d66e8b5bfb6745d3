// Every finding that reading sallyport-webhook.yaml can give beside those of YAML and schema (docs/configuration.md).
// docs/webhook-configuration.md lists them from here.

export const WEBHOOK_CODES = {
  allow_from_everybody: 'A network of `allowFrom` has every address in it, so that nobody is kept away.',
  allow_from_ambiguous:
    'A network of `allowFrom` that says more than its prefix, or is IPv4 in IPv6 spelling.',
  certificate_missing: 'There is no certificate to serve, and no Pod for which one could be kept.',
  certificate_malformed: 'A CA file holds no PEM certificate.',
  client_names_without_ca: '`clientNames` without `clientCaFile`.',
  file_unreadable: 'A file that the configuration names cannot be read.',
  file_readable_by_others: 'The private key can be read by its group or by every user of the machine.',
} as const

export type WebhookCode = keyof typeof WEBHOOK_CODES
