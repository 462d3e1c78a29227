//! The functions of the contracts, as far as they are called here. Selectors are pinned by the tests of
//! [`calls`](super::calls).

alloy::sol! {
    interface Erc20 {
        function balanceOf(address owner) external view returns (uint256);
        function allowance(address owner, address spender) external view returns (uint256);
        function approve(address spender, uint256 amount) external returns (bool);
        function transfer(address to, uint256 amount) external returns (bool);
    }

    interface Erc1155 {
        function balanceOf(address owner, uint256 id) external view returns (uint256);
        function isApprovedForAll(address owner, address operator) external view returns (bool);
        function setApprovalForAll(address operator, bool approved) external;
    }

    interface ConditionalTokens {
        function payoutDenominator(bytes32 conditionId) external view returns (uint256);
        function payoutNumerators(bytes32 conditionId, uint256 index) external view returns (uint256);
    }

    interface Ramp {
        function wrap(address _asset, address _to, uint256 _amount) external;
        function unwrap(address _asset, address _to, uint256 _amount) external;
    }

    interface Adapter {
        function splitPosition(address, bytes32, bytes32 conditionId, uint256[] partition, uint256 amount) external;
        function mergePositions(address, bytes32, bytes32 conditionId, uint256[] partition, uint256 amount) external;
        function redeemPositions(address, bytes32, bytes32 conditionId, uint256[] indexSets) external;
        function convertPositions(bytes32 negRiskMarketId, uint256 indexSet, uint256 amount) external;
    }

    interface Router {
        function split(bytes31 conditionId, uint256 amount) external;
        function merge(bytes31 conditionId, uint256 amount) external;
        function redeem(bytes31 conditionId, uint256 outcomeIndex, uint256 amount) external;
    }

    interface Exchange {
        function getMaxFeeRate() external view returns (uint256);
        function pauseUser() external;
        function unpauseUser() external;
        function isUserPaused(address user) external view returns (bool);
    }

    interface DepositWallet {
        function owner() external view returns (address);
        function isValidSignature(bytes32 hash, bytes signature) external view returns (bytes4);
        function authorizeSessionSigner(address signer, uint256 validUntil) external;
        function revokeSessionSigner(address signer) external;
    }

    interface DepositFactory {
        function BEACON() external view returns (address);
    }

    event OrderFilled(bytes32 indexed orderHash, address indexed maker, address indexed taker, uint8 side, uint256 tokenId, uint256 makerAmountFilled, uint256 takerAmountFilled, uint256 fee, bytes32 builder, bytes32 metadata);

    event Transfer(address indexed from, address indexed to, uint256 value);
    event TransferSingle(address indexed operator, address indexed from, address indexed to, uint256 id, uint256 value);
    event TransferBatch(address indexed operator, address indexed from, address indexed to, uint256[] ids, uint256[] values);

    struct ProxyCall {
        uint8 typeCode;
        address to;
        uint256 value;
        bytes data;
    }

    interface ProxyFactory {
        function proxy(ProxyCall[] calls) external;
    }

    interface MultiSend {
        function multiSend(bytes transactions) external;
    }
}
