import { describeGrpcClient } from '../support/grpc-client-suite.js';
import { bufCurl } from '../support/grpc-clients.js';

describeGrpcClient(bufCurl);
