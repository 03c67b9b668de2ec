/** What has gone over the links of a process since it started. */
export class LinkTraffic {
  sentBytes = 0;
  receivedBytes = 0;
  sentEnvelopes = 0;
  receivedEnvelopes = 0;
}
